//! Exchanges step by step: what is under way is a value, and a test delivers it when it likes.
//!
//! [`World::exchange`] runs one exchange from start to end. Here, many run at once: each delivery of a [`Parcel`] is one
//! step of one of them, in any order, more than once or not at all.

use suit::ComponentIdentifier;
use teep_agent::{Contact, Input, Request, Step};

use crate::{Decided, Interrupted, Node, Recorded, World};

/// Something under way.
#[derive(Debug, Clone)]
pub enum Parcel {
    /// A message; empty for the POST that begins an exchange.
    Message {
        /// The sender, who gets the answer.
        from: Node,
        /// The receiver.
        to: Node,
        /// The message.
        bytes: Vec<u8>,
    },
    /// What a replica of a TAM has decided and is about to commit.
    Decision {
        /// The TAM.
        tam: usize,
        /// Who gets the reply.
        to: Node,
        /// The message that it is about.
        about: Vec<u8>,
        /// What was decided.
        decided: Box<Decided>,
    },
    /// A payload that a device's Agent has asked for, from some byte on.
    Payload {
        /// The device.
        device: usize,
        /// The TAM that the Agent's answer goes to.
        tam: Node,
        /// Where the payload is found.
        uri: String,
        /// How many bytes have been handed in.
        from: usize,
    },
    /// A TAM's Evidence, on its way to the device's Verifier.
    Appraisal {
        /// The device.
        device: usize,
        /// The TAM that the Agent's answer goes to.
        tam: Node,
        /// The media type of the Evidence.
        format: String,
        /// The Evidence.
        evidence: Vec<u8>,
    },
}

impl World {
    /// RequestTA, without the exchange: the POST that begins it, `None` where none is needed.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn begin_request(
        &mut self,
        device: usize,
        component: &ComponentIdentifier,
    ) -> Result<Option<Parcel>, Interrupted> {
        let (agent, tee) = self.device(device)?;
        let contact = agent.request_ta(&Request::new(component.clone()), tee)?;
        contact
            .map(|contact| self.begin(device, contact))
            .transpose()
    }

    /// UnrequestTA, without the exchange.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn begin_unrequest(
        &mut self,
        device: usize,
        component: &ComponentIdentifier,
    ) -> Result<Option<Parcel>, Interrupted> {
        let (agent, tee) = self.device(device)?;
        let contact = agent.unrequest_ta(component, tee)?;
        contact
            .map(|contact| self.begin(device, contact))
            .transpose()
    }

    /// RequestPolicyCheck until it names no more TAMs, without the exchanges.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn begin_policy_check(&mut self, device: usize) -> Result<Vec<Parcel>, Interrupted> {
        let mut parcels = Vec::new();
        while let Some(contact) = self.device(device)?.0.request_policy_check() {
            parcels.push(self.begin(device, contact)?);
        }
        Ok(parcels)
    }

    /// The POST that begins an exchange with the TAM that the Agent named.
    ///
    /// # Errors
    /// [`Interrupted::NoSuchTam`].
    pub fn begin(&mut self, device: usize, contact: Contact) -> Result<Parcel, Interrupted> {
        let tam = (0..self.tams.len())
            .find(|tam| Self::tam_uri(*tam) == contact.tam_uri)
            .ok_or(Interrupted::NoSuchTam)?;
        let message = contact.message.unwrap_or_default();
        Ok(self.send(Node::Device(device), Node::Tam(tam), message))
    }

    /// One step: what is under way arrives; what is under way in its place, `None` at the end of the exchange.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn deliver(&mut self, parcel: Parcel) -> Result<Option<Parcel>, Interrupted> {
        match parcel {
            Parcel::Message {
                from,
                to: Node::Tam(tam),
                bytes,
            } => Ok(self.at_tam(tam, from, &bytes)),
            Parcel::Message {
                from,
                to: Node::Device(device),
                bytes,
            } => {
                let step = self.step(device, Input::Message(&bytes))?;
                Ok(self.after(device, from, step, String::new(), 0))
            }
            Parcel::Decision {
                tam, to, decided, ..
            } => {
                let now = self.now;
                let reply = self.tams[tam].commit(*decided, now);
                let reply = reply.unwrap_or_else(|dropped| {
                    self.tams[tam].dropped.push(dropped);
                    Vec::new()
                });
                Ok(self.reply(tam, to, reply))
            }
            Parcel::Appraisal {
                device,
                tam,
                format,
                evidence,
            } => {
                let result = self.verifier.appraise(&format, &evidence, self.now);
                let input = result
                    .as_deref()
                    .map_or(Input::AppraisalFailed, Input::AttestationResult);
                self.fed(device, tam, String::new(), 0, input)
            }
            Parcel::Payload {
                device,
                tam,
                uri,
                from,
            } => {
                let (input, next) = match self.payloads.get(&uri).cloned() {
                    None => return self.fed(device, tam, uri, from, Input::PayloadFailed),
                    Some(payload) => {
                        let end = payload.bytes.len().min(from + self.chunk);
                        (
                            payload.bytes.get(from..end).unwrap_or_default().to_vec(),
                            end,
                        )
                    }
                };
                if input.is_empty() {
                    self.fed(device, tam, uri, next, Input::PayloadEnd)
                } else {
                    self.fed(device, tam, uri, next, Input::Payload(&input))
                }
            }
        }
    }

    fn fed(
        &mut self,
        device: usize,
        tam: Node,
        uri: String,
        from: usize,
        input: Input<'_>,
    ) -> Result<Option<Parcel>, Interrupted> {
        let step = self.step(device, input)?;
        Ok(self.after(device, tam, step, uri, from))
    }

    fn after(
        &mut self,
        device: usize,
        tam: Node,
        step: Step,
        uri: String,
        from: usize,
    ) -> Option<Parcel> {
        match step {
            Step::Send(bytes) => Some(self.send(Node::Device(device), tam, bytes)),
            Step::Fetch { uri, .. } => Some(Parcel::Payload {
                device,
                tam,
                uri,
                from: 0,
            }),
            Step::MorePayload => Some(Parcel::Payload {
                device,
                tam,
                uri,
                from,
            }),
            Step::Appraise { format, evidence } => Some(Parcel::Appraisal {
                device,
                tam,
                format,
                evidence,
            }),
            Step::Idle => None,
        }
    }

    fn at_tam(&mut self, tam: usize, from: Node, bytes: &[u8]) -> Option<Parcel> {
        if bytes.is_empty() {
            let query_request = self.post(tam, bytes);
            return self.reply(tam, from, query_request);
        }
        match self.tams[tam].decide(bytes, self.now, &mut self.random) {
            Ok(decided) => Some(Parcel::Decision {
                tam,
                to: from,
                about: bytes.to_vec(),
                decided: Box::new(decided),
            }),
            Err(dropped) => {
                self.tams[tam].dropped.push(dropped);
                None
            }
        }
    }

    fn reply(&mut self, tam: usize, to: Node, bytes: Vec<u8>) -> Option<Parcel> {
        (!bytes.is_empty()).then(|| self.send(Node::Tam(tam), to, bytes))
    }

    fn send(&mut self, from: Node, to: Node, bytes: Vec<u8>) -> Parcel {
        self.network.recorded.push(Recorded {
            from,
            to,
            at: self.now,
            bytes: bytes.clone(),
        });
        Parcel::Message { from, to, bytes }
    }
}
