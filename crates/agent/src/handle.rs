//! `ProcessTeepMessage`: who sent it, is it whole, and which handler takes it (draft sections 4.1.2, 7.2).

use teep::{CipherSuite, ErrorCode, ErrorMessage, Message, Numbers, Text, Token};
use teep_cose::{Sign1, SignatureError, SignedMessage};

use crate::ports::Tee;
use crate::{Agent, AgentError, Step, bounds, query, update};

pub(crate) const NUMBERS: &Numbers = &Numbers::IANA;

/// An Error that answers a message: what was wrong, for the TAM and for people.
pub(crate) type Refusal = alloc::boxed::Box<ErrorMessage>;

pub(crate) fn process_teep_message(
    agent: &mut Agent,
    bytes: &[u8],
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    // A new message while a payload is awaited: the exchange it belonged to is gone.
    if let Some(running) = agent.update.take() {
        running.abandon(tee)?;
    }
    // T-153 (7.2) an invalid message is answered with an Error; nothing of it is copied into the answer
    // before its signature is known to be a trusted TAM's.
    match authenticate(agent, bytes, tee) {
        Ok(Message::QueryRequest(request)) => query::answer(agent, &request, tee),
        Ok(Message::Update(update)) => update::start(agent, update, bytes, tee),
        Ok(other) => {
            let error = refusal(ErrorCode::PermanentError, None, wrong_direction(&other));
            Ok(send(&Message::Error(*error), tee))
        }
        Err(error) => Ok(send(&Message::Error(*error), tee)),
    }
}

/// Checks that a trusted TAM signed the message, then parses it (T-002, T-010 to T-014).
fn authenticate(agent: &Agent, bytes: &[u8], tee: &dyn Tee) -> Result<Message, Refusal> {
    // T-011, T-012, T-013 (4.1.2) valid CBOR, a COSE_Sign1 or COSE_Sign, no unknown critical parameter.
    let received = SignedMessage::decode(bytes, &bounds::MESSAGE)
        .map_err(|_| refusal(ErrorCode::PermanentError, None, "not a signed TEEP message"))?;
    let tams = &agent.inventory.provisioning.tams;
    // T-014 (4.1.2) signature before content: nothing of the payload is looked at until it verifies.
    let (_, payload) = tams.verify(&received).map_err(|error| {
        let signatures = received.signatures();
        let known = |kid| tams.find(&kid).is_some();
        let supported = |signature: &teep_cose::sign::SignatureHeader| {
            signature.supported_algorithm() == Some(tee.public_key().algorithm())
        };
        if !signatures.iter().any(supported) {
            // T-082, T-171 (4.6, 8) the suites that would do, protected by one that every TAM has.
            unsupported_cipher_suites(None, tee)
        } else if error == SignatureError::Wrong
            && signatures.iter().filter_map(|s| s.thumbprint()).any(known)
        {
            refusal(
                ErrorCode::PermanentError,
                None,
                "the signature is not the TAM's",
            )
        } else {
            refusal(
                ErrorCode::BadCertificate,
                None,
                "the TAM's key is not trusted here",
            )
        }
    })?;
    Message::decode(payload, NUMBERS, &bounds::MESSAGE)
        .map_err(|error| refusal(ErrorCode::PermanentError, None, error.field))
}

/// Signs a message with the Agent's key and hands it to the Broker.
// T-004 (4) every message is protected; T-172 (8) by the one suite that the Agent has.
pub(crate) fn send(message: &Message, tee: &dyn Tee) -> Step {
    let payload = message.encode(NUMBERS);
    let signed = Sign1::new(&payload).with_kid();
    // Only a QueryResponse may reach a TAM that does not know the Agent's key yet.
    let signed = match message {
        Message::QueryResponse(_) => signed.with_key(),
        _ => signed,
    };
    Step::Send(tee.sign(signed))
}

// T-092 (4.6) an Error says its reason; T-075, T-076 (4.6) the token is the request's, if it had one.
pub(crate) fn refusal(code: ErrorCode, token: Option<Token>, reason: &str) -> Refusal {
    let mut error = ErrorMessage::new(code);
    error.token = token;
    error.err_msg = Text::new(reason);
    error.into()
}

pub(crate) fn unsupported_cipher_suites(token: Option<Token>, tee: &dyn Tee) -> Refusal {
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
