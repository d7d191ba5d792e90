//! A TAM with its Verifier, whose store is a value: what the server does with SQL, in a few lines.

use std::collections::BTreeMap;

use eat::Profile;
use suit::ComponentIdentifier;
use teep::{AttestationPayload, Generation, Message, Token};
use teep_cose::encrypt::{Curve, DecryptionKey, RecipientKey};
use teep_cose::mac::MacKey;
use teep_cose::{Algorithm, SigningKey, Thumbprint, TrustAnchors};
use teep_tam::{
    Admission, Appraisal, Appraise, Attempts, Authenticated, Change, Decision, Device, Done,
    Dropped, FailedManifest, Installed, KnownComponent, Minter, Outcome, Policy, Prove, Published,
    Received, RefusedKeys, Remedy, Reply, SentManifest, SentUpdate, Shortfall, Snapshot, Tam,
    TamKeys, Withdrawn,
};
use teep_verifier::{Appraised, Endorsement, Known, ReferenceValue, Refusal, Verifier};

use crate::{SeededRandom, TamVerifier, TrustedComponent};

/// A TAM as a node of the world.
pub struct TamNode {
    /// The TAM's settings and keys.
    pub tam: Tam,
    /// The key of the TAM's that signs for Agents that chose ESP256.
    pub esp256: SigningKey,
    /// The same for Ed25519.
    pub ed25519: SigningKey,
    /// What those are asked in who come to it.
    pub generation: &'static Generation,
    /// Its Verifier.
    pub verifier: Verifier,
    endorsements: BTreeMap<Thumbprint, Endorsement>,
    /// What the Verifier asks of each model.
    pub reference_values: Vec<ReferenceValue>,
    /// Which manifests are remedies, and for what: their names, models and software.
    pub remedies: Vec<(ComponentIdentifier, Option<Vec<u8>>, Option<String>)>,
    /// What an Agent gets that wants the TAM attested.
    pub proof: Proof,
    /// What the TAM remembers.
    pub store: TamStore,
    /// Who certifies Agents' keys, and both lists, whole.
    pub admission: Admission,
    /// What is published, with the envelopes.
    published: Vec<(Published, Vec<u8>)>,
    /// What was withdrawn.
    withdrawn: Vec<Withdrawn>,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
    /// Every token that was honoured, and every challenge behind the name of the key that answered it, in
    /// order: each stands here once at most.
    pub honoured: Vec<Vec<u8>>,
    /// Why messages were dropped, in order.
    pub dropped: Vec<Dropped>,
}

const IN_MEMORY: &str = "a key in memory signs";

/// How a TAM shows what it is.
pub struct Proof {
    /// The machine that it runs on, and the Verifier that devices trust with it.
    verifier: TamVerifier,
    /// Whether the Agent gets Evidence; else an Attestation Result.
    pub is_evidence: bool,
    /// When set, what is shown whatever the Agent asked.
    pub instead: Option<AttestationPayload>,
}

/// What a TAM remembers of devices: compare it before and after to see that nothing has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TamStore {
    devices: BTreeMap<Thumbprint, KnownDevice>,
    sent: Vec<SentUpdate>,
    /// By Agent and challenge, with the time from which on it may be forgotten.
    spent: BTreeMap<(Thumbprint, Vec<u8>), u64>,
    /// Errors of strangers to QueryRequests, in a row.
    strangers: BTreeMap<Thumbprint, Attempts>,
}

/// A decision on a message, whose reply may not leave before it is committed.
#[derive(Debug, Clone)]
pub struct Decided {
    done: Done,
    reply: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct KnownDevice {
    device: Device,
    ueid: Vec<u8>,
    installed: Vec<Installed>,
    /// The last failure of each manifest.
    failed: Vec<FailedManifest>,
    /// What came from here, with the manifest that brought it.
    brought: Vec<KnownComponent>,
    /// Errors to QueryRequests, in a row.
    queries: Attempts,
    /// Errors to Updates, in a row.
    updates: Attempts,
    /// The TAM's keys that it has refused.
    refused_keys: RefusedKeys,
}

impl TamNode {
    /// A TAM with new keys and a Verifier of its own.
    pub fn new(tam_verifier: TamVerifier, random: &mut SeededRandom) -> Self {
        let verifier = SigningKey::generate(Algorithm::Esp256, random);
        let decryption_keys =
            [Curve::P256, Curve::X25519].map(|curve| DecryptionKey::generate(curve, random));
        let verifiers: TrustAnchors = [verifier.public_key()].into_iter().collect();
        let mut mac_key = [0; 32];
        rand_core::Rng::fill_bytes(random, &mut mac_key);
        let esp256 = SigningKey::generate(Algorithm::Esp256, random);
        let ed25519 = SigningKey::generate(Algorithm::Ed25519, random);
        Self {
            tam: Tam {
                keys: TamKeys::of(esp256.clone(), ed25519.clone()).expect("a key for each suite"),
                minter: Minter::new(MacKey::new(mac_key), Minter::LIFETIME_SECONDS),
                verifiers,
                agent_keys: TrustAnchors::new(),
                profile: Profile::default(),
                decryption_keys: decryption_keys.to_vec(),
                suit_reports: Vec::new(),
                policy: Policy {
                    // Once a device has got a dated Update, stories could order nothing by hand any more.
                    dates_updates: false,
                    ..Policy::default()
                },
            },
            esp256,
            ed25519,
            generation: &Generation::DRAFT_26,
            verifier: Verifier::new(verifier),
            endorsements: BTreeMap::new(),
            reference_values: Vec::new(),
            remedies: Vec::new(),
            proof: Proof {
                verifier: tam_verifier,
                is_evidence: false,
                instead: None,
            },
            store: TamStore::default(),
            admission: Admission::default(),
            published: Vec::new(),
            withdrawn: Vec::new(),
            decisions: Vec::new(),
            honoured: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Tells the Verifier of a device.
    pub fn endorse(&mut self, endorsement: Endorsement) {
        self.endorsements
            .insert(endorsement.attestation_key.thumbprint(), endorsement);
    }

    /// Publishes a component with the envelope that its signer made of it, in place of an older version.
    pub fn publish(&mut self, component: &TrustedComponent, envelope: Vec<u8>) {
        let published = component.published(&envelope);
        let id = published.manifest_component_id.clone();
        self.published.retain(|(known, _)| {
            known.manifest_component_id != id || known.sequence_number > published.sequence_number
        });
        self.withdrawn
            .retain(|withdrawn| withdrawn.manifest_component_id != id);
        self.published.push((published, envelope));
    }

    /// Withdraws a manifest: no device gets it any more, and it goes from those that have it.
    pub fn withdraw(&mut self, manifest_component_id: &ComponentIdentifier) {
        let withdrawn = self.published.extract_if(.., |(known, _)| {
            known.manifest_component_id == *manifest_component_id
        });
        let components = withdrawn.flat_map(|(published, _)| published.components);
        self.withdrawn.push(Withdrawn {
            manifest_component_id: manifest_component_id.clone(),
            components: components.map(|component| component.component_id).collect(),
        });
    }

    /// The keys that a device must trust.
    #[must_use]
    pub fn keys(&self) -> TrustAnchors {
        [self.esp256.public_key(), self.ed25519.public_key()]
            .into_iter()
            .collect()
    }

    /// What the TAM believes to be installed on a device, sorted; `None` if it was never seen.
    #[must_use]
    pub fn recorded(&self, agent: &Thumbprint) -> Option<Vec<Installed>> {
        let mut installed = self.store.devices.get(agent)?.installed.clone();
        installed.sort_by(|a, b| a.component_id.cmp(&b.component_id));
        Some(installed)
    }

    /// How many Updates await their answers.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.store.sent.len()
    }

    /// The tokens of the Updates that await their answers.
    pub fn outstanding_tokens(&self) -> impl Iterator<Item = &Token> {
        self.store.sent.iter().map(|sent| &sent.token)
    }

    /// Signs a message, whatever it says, with the key for `algorithm`.
    #[must_use]
    pub fn sign(&self, message: &Message, algorithm: Algorithm) -> Vec<u8> {
        let key = match algorithm {
            Algorithm::Ed25519 => &self.ed25519,
            // The other of `Algorithm::TEEP`.
            _ => &self.esp256,
        };
        let payload = message.encode(self.generation);
        self.generation.sign1(&payload).sign(key)
    }

    /// One POST: the message in, the reply out; empty where there is none.
    pub fn post(&mut self, message: &[u8], now: u64, random: &mut SeededRandom) -> Vec<u8> {
        if message.is_empty() {
            return self
                .tam
                .connect(self.generation, now, random)
                .expect(IN_MEMORY);
        }
        let decided = self.decide(message, now, random);
        match decided.and_then(|decided| self.commit(decided, now)) {
            Ok(reply) => reply,
            Err(dropped) => {
                self.dropped.push(dropped);
                Vec::new()
            }
        }
    }

    /// The keys that devices encrypt to.
    #[must_use]
    pub fn encryption_keys(&self) -> Vec<RecipientKey> {
        let keys = self.tam.decryption_keys.iter();
        keys.filter_map(DecryptionKey::public_key).collect()
    }

    /// The first half of a POST: what one of the TAM's replicas decides on a message by what the store holds now.
    ///
    /// # Errors
    /// [`Dropped`].
    pub fn decide(
        &self,
        message: &[u8],
        now: u64,
        random: &mut SeededRandom,
    ) -> Result<Decided, Dropped> {
        let received = self.tam.open(message, self.generation)?;
        let known = self.sender(&received);
        let authenticated = received.authenticate(&self.tam, known)?;
        let snapshot = self.snapshot(&authenticated, now);
        let mut done = match self.tam.decide(authenticated, &snapshot, now, random)? {
            Outcome::Done(done) => done,
            Outcome::Appraise(Appraise {
                format,
                evidence,
                then,
            }) => {
                let appraised = self.appraise(&format, &evidence, now);
                let reason = appraised.as_ref().err().map(ToString::to_string);
                let appraisal = match &appraised {
                    Ok(appraised) => Appraisal::Passed {
                        result: &appraised.result,
                        ar4si: Some(&appraised.ar4si),
                    },
                    Err(refusal) => Appraisal::Failed {
                        reason: reason.as_deref().unwrap_or_default(),
                        shortfall: shortfall(refusal),
                    },
                };
                self.tam.resume(then, &appraisal, &snapshot, now, random)?
            }
            Outcome::Prove(prove) => {
                let payload = self.proof(&prove, now);
                self.tam.prove(prove.then, payload, now, random)
            }
        };
        let reply = done.reply.take().map(|reply| self.seal(reply));
        Ok(Decided {
            done,
            reply: reply.unwrap_or_default(),
        })
    }

    /// The second half: the decision becomes part of the store, and the reply may leave.
    ///
    /// # Errors
    /// [`Dropped`] if another replica has committed since what makes the decision void.
    pub fn commit(&mut self, decided: Decided, now: u64) -> Result<Vec<u8>, Dropped> {
        self.apply(&decided.done.changes, now)?;
        self.decisions.extend(decided.done.decisions);
        Ok(decided.reply)
    }

    pub(crate) fn appraise(
        &self,
        format: &str,
        evidence: &[u8],
        now: u64,
    ) -> Result<Appraised, Refusal> {
        let lookup = |key: &Thumbprint| {
            let endorsement = self.endorsements.get(key)?.clone();
            let mut values = self.reference_values.iter();
            let of_model = |value: &&ReferenceValue| value.hwmodel == endorsement.hwmodel;
            Some(Known {
                reference_value: values.find(of_model).cloned(),
                endorsement,
            })
        };
        self.verifier.appraise(format, evidence, lookup, now)
    }

    /// What the TAM shows of itself.
    fn proof(&self, prove: &Prove, now: u64) -> AttestationPayload {
        let Proof {
            verifier,
            is_evidence,
            instead,
        } = &self.proof;
        if let Some(instead) = instead {
            return instead.clone();
        }
        let challenge = prove.challenge.as_deref().unwrap_or_default();
        let (format, evidence) = verifier.evidence(challenge, &prove.tam_key);
        if *is_evidence {
            return AttestationPayload {
                format: Some(format.into()),
                bytes: evidence,
            };
        }
        let result = verifier.appraise(format, &evidence, now);
        AttestationPayload {
            format: None,
            bytes: result.expect("the TAM's own Evidence is good"),
        }
    }

    fn sender(&self, received: &Received) -> Option<&Device> {
        let updated = |token: &Token| {
            let sent = self.store.sent.iter().find(|sent| sent.token == *token);
            sent.map(|sent| sent.agent)
        };
        let by_token = || received.token().and_then(updated);
        let agent = received.agent().or_else(by_token)?;
        self.store.devices.get(&agent).map(|known| &known.device)
    }

    fn snapshot(&self, authenticated: &Authenticated, now: u64) -> Snapshot {
        let sent = authenticated
            .token()
            .and_then(|token| self.store.sent.iter().find(|sent| sent.token == *token));
        let agent = authenticated.agent();
        let known = self.store.devices.get(&agent);
        let stranger = self.store.strangers.get(&agent).copied();
        let spent = self
            .store
            .spent
            .iter()
            .filter(|(_, expires)| **expires > now);
        Snapshot {
            sent: sent.cloned(),
            published: self.published.iter().map(|(p, _)| p.clone()).collect(),
            withdrawn: self.withdrawn.clone(),
            known: known.map(|known| known.brought.clone()).unwrap_or_default(),
            failed: known.map(|known| known.failed.clone()).unwrap_or_default(),
            remedies: self.remedies(),
            queries: known.map_or(stranger.unwrap_or_default(), |known| known.queries),
            updates: known.map(|known| known.updates).unwrap_or_default(),
            refused_keys: known
                .map(|known| known.refused_keys.clone())
                .unwrap_or_default(),
            honoured: spent.filter(|((spender, _), _)| *spender == agent).count() as u64,
            admission: self.admission.clone(),
        }
    }

    fn remedies(&self) -> Vec<Remedy> {
        let newest = |id: &ComponentIdentifier| {
            let same = self.published.iter().map(|(published, _)| published);
            let same = same.filter(|published| published.manifest_component_id == *id);
            same.max_by_key(|published| published.sequence_number)
        };
        let remedies = self.remedies.iter().filter_map(|(id, hwmodel, software)| {
            Some(Remedy {
                published: newest(id)?.clone(),
                hwmodel: hwmodel.clone(),
                software: software.clone(),
            })
        });
        remedies.collect()
    }

    fn seal(&self, reply: Reply) -> Vec<u8> {
        let envelope = |sent: &SentManifest| {
            let mut published = self.published.iter();
            let found = published.find(|(published, _)| published.digest == sent.digest);
            let (_, envelope) = found.expect("what was just decided on is published");
            envelope.clone()
        };
        let envelopes = reply.manifests().iter().map(envelope).collect();
        self.tam.seal(reply, envelopes).expect(IN_MEMORY)
    }

    /// All changes or none.
    fn apply(&mut self, changes: &[Change], now: u64) -> Result<(), Dropped> {
        if changes.is_empty() {
            return Ok(());
        }
        self.store.spent.retain(|_, expires| *expires > now);
        // T-025, T-129 (4.2, 7.1) nothing waits for ever.
        self.store.sent.retain(|sent| sent.expires > now);
        let is_spent = |agent: &Thumbprint, nonce: &Vec<u8>| {
            self.store.spent.contains_key(&(*agent, nonce.clone()))
        };
        let spends_twice = changes.iter().any(
            |change| matches!(change, Change::Spend { agent, nonce, expires } if *expires <= now || is_spent(agent, nonce)),
        );
        if spends_twice {
            return Err(Dropped::Token(teep_tam::TokenError::NotOurs));
        }
        let outstanding = |token: &Token| self.store.sent.iter().any(|sent| sent.token == *token);
        let answers_twice = changes
            .iter()
            .any(|change| matches!(change, Change::Answered { token, .. } if !outstanding(token)));
        if answers_twice {
            return Err(Dropped::NoSuchUpdate);
        }
        for change in changes {
            match change {
                Change::Spend {
                    agent,
                    nonce,
                    expires,
                } => {
                    // One QueryRequest may go to many: a challenge counts once for each key.
                    self.honoured.push([agent.as_ref(), nonce].concat());
                    self.store.spent.insert((*agent, nonce.clone()), *expires);
                }
                Change::Seen {
                    agent,
                    ueid,
                    installed,
                    generation,
                    chain,
                    ..
                } => {
                    let device = Device {
                        agent: agent.clone(),
                        generation,
                        chain: chain.clone(),
                    };
                    self.seen(device, ueid, installed);
                }
                Change::Sent(sent) => self.store.sent.push(sent.clone()),
                Change::Answered { token, .. } => {
                    self.honoured.push(token.as_bytes().to_vec());
                    self.store.sent.retain(|sent| sent.token != *token);
                }
                Change::ManifestFailed { agent, failed } => {
                    if let Some(known) = self.store.devices.get_mut(agent) {
                        let id = &failed.manifest_component_id;
                        known
                            .failed
                            .retain(|other| other.manifest_component_id != *id);
                        known.failed.push(failed.clone());
                    }
                }
                Change::Queries {
                    agent, attempts, ..
                } => match self.store.devices.get_mut(agent) {
                    Some(known) => known.queries = *attempts,
                    None => {
                        self.store.strangers.insert(*agent, *attempts);
                    }
                },
                Change::Updates { agent, attempts } => {
                    if let Some(known) = self.store.devices.get_mut(agent) {
                        known.updates = *attempts;
                    }
                }
                Change::RefusedKeys { agent, refused } => {
                    if let Some(known) = self.store.devices.get_mut(agent) {
                        known.refused_keys = refused.clone();
                    }
                }
                Change::Installed {
                    agent,
                    manifests,
                    removed,
                } => {
                    self.record(agent, manifests, removed);
                }
            }
        }
        Ok(())
    }

    fn seen(&mut self, device: Device, ueid: &[u8], installed: &[Installed]) {
        let heard = device.agent.thumbprint();
        self.store.sent.retain(|sent| sent.agent != heard);
        // A device has one Agent key: a new one takes the place of the old.
        let devices = &mut self.store.devices;
        devices.retain(|known_as, known| *known_as == heard || known.ueid != ueid);
        let known = devices.entry(heard).or_insert_with(|| KnownDevice {
            device: device.clone(),
            ueid: Vec::new(),
            installed: Vec::new(),
            failed: Vec::new(),
            brought: Vec::new(),
            queries: Attempts::default(),
            updates: Attempts::default(),
            refused_keys: RefusedKeys::default(),
        });
        known.device = device;
        known.ueid = ueid.to_vec();
        known.installed = installed.to_vec();
        known
            .brought
            .retain(|brought| installed.contains(&brought.component));
    }

    fn record(
        &mut self,
        agent: &Thumbprint,
        manifests: &[SentManifest],
        removed: &[ComponentIdentifier],
    ) {
        let Some(known) = self.store.devices.get_mut(agent) else {
            return;
        };
        let mut gone = removed.to_vec();
        gone.extend(
            manifests
                .iter()
                .map(|sent| sent.manifest_component_id.clone()),
        );
        let is_gone = |id: &ComponentIdentifier| gone.contains(id);
        let brought = known
            .brought
            .extract_if(.., |b| is_gone(&b.manifest_component_id));
        let mut components: Vec<_> = brought.map(|b| b.component.component_id).collect();
        // What a lost Success told of is not on record as brought.
        let published = self.published.iter().map(|(published, _)| published);
        let published = published.filter(|p| is_gone(&p.manifest_component_id));
        components.extend(
            published
                .flat_map(|p| &p.components)
                .map(|c| c.component_id.clone()),
        );
        known
            .installed
            .retain(|known| !components.contains(&known.component_id));
        for sent in manifests {
            for component in &sent.components {
                let is_other = |id: &ComponentIdentifier| *id != component.component_id;
                known
                    .installed
                    .retain(|known| is_other(&known.component_id));
                known
                    .brought
                    .retain(|known| is_other(&known.component.component_id));
                known.installed.push(component.clone());
                known.brought.push(KnownComponent {
                    component: component.clone(),
                    manifest_component_id: sent.manifest_component_id.clone(),
                    sequence_number: sent.sequence_number,
                });
            }
        }
    }
}

fn shortfall(refusal: &Refusal) -> Option<Shortfall> {
    let Refusal::SoftwareNotAccepted(shortfall) = refusal else {
        return None;
    };
    Some(Shortfall {
        nonce: shortfall.nonce.as_deref().map(<[u8]>::to_vec),
        agent: shortfall.agent,
        hwmodel: shortfall.hwmodel.to_vec(),
        outdated: shortfall.outdated.clone(),
    })
}
