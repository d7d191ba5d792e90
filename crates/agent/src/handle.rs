//! `ProcessTeepMessage`: who sent it, is it whole, and which handler takes it (draft sections 4.1.2, 7.2).

use teep::{CipherSuite, ErrorCode, ErrorMessage, Generation, LanguageTag, Message, Text, Token};
use teep_cose::digest::sha256;
use teep_cose::sign::SignatureHeader;
use teep_cose::{
    CertificateError, PublicKey, Purpose, SignatureError, SignedMessage, Thumbprint, Time, Trusted,
};

use crate::ports::Tee;
use crate::session::{self, Session};
use crate::{Agent, AgentError, Provisioning, Step, TrustedTam, bounds, query, update};

/// An Error that answers a message: what was wrong, for the TAM and for people.
pub(crate) type ErrorAnswer = alloc::boxed::Box<ErrorMessage>;

pub(crate) fn process_teep_message(
    agent: &mut Agent,
    bytes: &[u8],
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    // A new message while a payload or an Attestation Result is awaited: the exchange it belonged to is gone.
    agent.tam_attestation.waiting = None;
    agent.passport_use.abandon();
    if let Some(running) = agent.update.take() {
        running.abandon(&mut agent.inventory, tee);
    }
    // T-153 (7.2) an invalid message is answered with an Error; nothing of it is copied into the answer
    // before its signature is known to be a trusted TAM's.
    let time = agent.time(tee);
    let provisioning = &agent.inventory.provisioning;
    let authenticated = match authenticate(provisioning, agent.session.as_ref(), bytes, time, tee) {
        Ok(authenticated) => authenticated,
        // T-198 (11) but not without end: a signature costs the TEE more than its sender.
        Err(_) if !agent.patience.has_error(tee.clock()) => return Ok(Step::Idle),
        Err((error, generation)) => {
            return Ok(send_to_stranger(&Message::Error(*error), generation, tee));
        }
    };
    let Authenticated {
        message,
        digest,
        sender,
    } = authenticated;
    let generation = sender.generation;
    agent.session = Some(Session::new(sender.key.clone(), generation));
    agent.contacts.responded();
    match message {
        Message::QueryRequest(_) if !agent.patience.has_answer(digest, tee.clock()) => {
            Ok(Step::Idle)
        }
        Message::QueryRequest(request) => query::answer(agent, request, &sender, tee),
        Message::Update(update) => update::start(agent, update, digest, &sender, tee),
        other => {
            let error = refusal(ErrorCode::PermanentError, None, wrong_direction(&other));
            Ok(send(&Message::Error(*error), generation, tee))
        }
    }
}

/// A message that a trusted TAM signed.
pub(crate) struct Authenticated {
    pub(crate) message: Message,
    /// Digest of what was signed. The rest of a message (tag, unprotected header, the signature's own
    /// encoding) can be changed by anybody.
    pub(crate) digest: [u8; 32],
    pub(crate) sender: Sender,
}

/// The trusted TAM that a message is from.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// Its place among the trusted TAMs.
    tam: usize,
    /// The key that signed the message.
    pub(crate) key: PublicKey,
    /// The thumbprint of the TAM's trust anchor that vouches for it: of the key itself, or of an authority's.
    pub(crate) anchor: Thumbprint,
    /// What the message was read by, and what its answer is written by.
    pub(crate) generation: &'static Generation,
}

impl Agent {
    /// What the Agent was told of the TAM that sent a message.
    pub(crate) fn tam(&self, sender: &Sender) -> &TrustedTam {
        &self.inventory.provisioning.tams[sender.tam]
    }

    /// Whether what the Agent was told of that TAM is still so.
    pub(crate) fn still_trusts(&self, tam: &TrustedTam, sender: &Sender) -> bool {
        self.inventory.provisioning.tams.get(sender.tam) == Some(tam)
    }
}

/// Checks that a trusted TAM signed the message, then parses it (T-002, T-010 to T-014). With an Error comes
/// the generation to send it in.
fn authenticate(
    provisioning: &Provisioning,
    session: Option<&Session>,
    bytes: &[u8],
    time: Time,
    tee: &dyn Tee,
) -> Result<Authenticated, (ErrorAnswer, &'static Generation)> {
    // T-011, T-012, T-013 (4.1.2) valid CBOR, a COSE_Sign1 or COSE_Sign, no unknown critical parameter.
    let received = SignedMessage::decode(bytes, &bounds::MESSAGE).map_err(|_| {
        let error = refusal(ErrorCode::PermanentError, None, "not a signed TEEP message");
        (error, session::of_nobody(provisioning, session))
    })?;
    // P-28: by which numbers a signature counts is known when the TAM is; its algorithm is the same.
    let received = received.accepting_older_numbers();
    let signatures = received.signatures();
    let own = tee.public_key().algorithm();
    let supported = |signature: &SignatureHeader| signature.supported_algorithm() == Some(own);
    let of_a_stranger = session::of_a_stranger(&received);
    // T-172 (8) the Agent's own suite, in both directions; T-082, T-171 (4.6, 8) else it says which that
    // is, protected by one that every TAM has.
    if !signatures.iter().any(supported) {
        return Err((unsupported_cipher_suites(None, tee), of_a_stranger));
    }
    // T-172 (8) only the TAM's key of the Agent's suite counts, whatever else signed the message.
    let received = received.only(own);
    // T-014 (4.1.2) signature before content: nothing of the payload is looked at until it verifies.
    let (place, trusted, payload) = verify(provisioning, &received, time).map_err(|error| {
        let mut named = signatures.iter().filter_map(SignatureHeader::thumbprint);
        let named = named.find_map(|kid| owner(provisioning, &kid));
        match (error, named) {
            (SignatureError::Certificate(error), _) => (certificate_refusal(&error), of_a_stranger),
            (_, Some((tam, key))) => {
                let reason = "the signature is not the TAM's";
                let known = session::known(session, tam, key);
                let error = refusal(ErrorCode::PermanentError, None, reason);
                (error, known.unwrap_or(of_a_stranger))
            }
            (_, None) => {
                let reason = "the TAM's key is not trusted here";
                let error = refusal(ErrorCode::BadCertificate, None, reason);
                (error, of_a_stranger)
            }
        }
    })?;
    let tam = &provisioning.tams[place];
    let key = trusted.key;
    let (generation, message) = session::read(&received, session, tam, &key).map_err(|error| {
        let error = refusal(ErrorCode::PermanentError, None, &alloc::format!("{error}"));
        let known = session::known(session, tam, &key);
        (error, known.unwrap_or(of_a_stranger))
    })?;
    // T-172 (8) the suite is named by the generation's number, not by that of another.
    if !session::is_signed_by(&received, generation, own) {
        return Err((unsupported_cipher_suites(None, tee), generation));
    }
    // T-169, T-172 (8) a COSE_Sign introduces a TAM that does not know the Agent; after that, the suite of
    // the Agent's answer is COSE_Sign1.
    if !received.is_sign1() && !matches!(message, Message::QueryRequest(_)) {
        return Err((unsupported_cipher_suites(None, tee), generation));
    }
    let digest = sha256(payload);
    let sender = Sender {
        tam: place,
        key,
        anchor: trusted.anchor,
        generation,
    };
    Ok(Authenticated {
        message,
        digest,
        sender,
    })
}

/// The place of the first TAM whose anchors vouch for a signature of the message: it says what the TAM must
/// prove and where it is told in confidence.
fn verify<'m>(
    provisioning: &Provisioning,
    received: &'m SignedMessage,
    time: Time,
) -> Result<(usize, Trusted, &'m [u8]), SignatureError> {
    let mut reason = SignatureError::NoSupportedAlgorithm;
    for (place, tam) in provisioning.tams.iter().enumerate() {
        match tam.keys.verify(received, time, Purpose::Message) {
            Ok((trusted, payload)) => return Ok((place, trusted, payload)),
            Err(error) => reason = reason.more_telling(error),
        }
    }
    Err(reason)
}

/// The TAM that has the raw key of this name, and the key.
fn owner<'a>(
    provisioning: &'a Provisioning,
    kid: &Thumbprint,
) -> Option<(&'a TrustedTam, &'a PublicKey)> {
    let mut tams = provisioning.tams.iter();
    tams.find_map(|tam| Some((tam, tam.keys.find(kid)?)))
}

// T-099, T-195 (4.6, 11) what is wrong and with which certificate: 9 for its time, 6 for all else. The
// signature is that of the certificate's key, but nobody trusted vouches for it: no token is echoed.
fn certificate_refusal(error: &CertificateError) -> ErrorAnswer {
    let code = match error.is_out_of_time() {
        true => ErrorCode::CertificateExpired,
        false => ErrorCode::BadCertificate,
    };
    refusal(code, None, &alloc::format!("{error}"))
}

/// Signs a message with the Agent's key and hands it to the Broker.
// T-004 (4) every message is protected; T-172 (8) by the one suite that the Agent has.
pub(crate) fn send(message: &Message, generation: &Generation, tee: &dyn Tee) -> Step {
    let payload = message.encode(generation);
    let signed = generation.sign1(&payload);
    Step::Send(tee.sign(signed.with_chain(tee.certificates())))
}

/// The same for whoever is no TAM of this device.
// T-211 (13) a certificate names the device, which is nobody else's business.
fn send_to_stranger(message: &Message, generation: &Generation, tee: &dyn Tee) -> Step {
    Step::Send(tee.sign(generation.sign1(&message.encode(generation))))
}

/// The same for the answer to a QueryRequest, whose TAM is trusted but may not know the Agent's key yet:
/// the key goes with it, where the generation can carry it.
pub(crate) fn introduce(message: &Message, generation: &Generation, tee: &dyn Tee) -> Step {
    let payload = message.encode(generation);
    let signed = generation.sign1(&payload).with_chain(tee.certificates());
    Step::Send(tee.sign(match generation.has_key_by_value {
        true => signed.with_key(),
        false => signed,
    }))
}

// T-092 (4.6) an Error says its reason; T-075, T-076 (4.6) the token is the request's, if it had one.
pub(crate) fn refusal(code: ErrorCode, token: Option<Token>, reason: &str) -> ErrorAnswer {
    let mut error = ErrorMessage::new(code);
    error.token = token;
    error.err_msg = Text::new(reason);
    // T-079 (4.6) the texts are English, and the tag says so.
    let english = || LanguageTag::new("en").expect("2 bytes are within 1 to 35");
    error.err_lang = error.err_msg.is_some().then(english);
    error.into()
}

pub(crate) fn unsupported_cipher_suites(token: Option<Token>, tee: &dyn Tee) -> ErrorAnswer {
    let mut error = refusal(
        ErrorCode::UnsupportedCipherSuites,
        token,
        "no common cipher suite",
    );
    error
        .supported_teep_cipher_suites
        .push(CipherSuite::Sign1(tee.public_key().algorithm()));
    error
}

fn wrong_direction(message: &Message) -> &'static str {
    match message {
        Message::QueryResponse(_) => "a QueryResponse goes from an Agent to a TAM",
        Message::Success(_) => "a Success goes from an Agent to a TAM",
        _ => "an Error goes from an Agent to a TAM",
    }
}
