//! One exchange with one TAM: the loop between HTTP and the Agent.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use url::Url;

use crate::payload::CHUNK;
use crate::{Binaries, Broker, BrokerError, Contact, Input, Step};

/// What passes through the Broker, for those who watch: progress, recordings, decoded messages.
#[derive(Debug, Clone, Copy)]
pub enum Traffic<'a> {
    /// An HTTP POST to the TAM; empty to begin.
    Sent(&'a [u8]),
    /// The TAM's answer; empty at the end.
    Received(&'a [u8]),
    /// A payload on its way.
    Fetching {
        /// From where.
        uri: &'a str,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, if the server says.
        total: Option<u64>,
    },
    /// Evidence of a TAM or of the device itself, of which the device's Verifier makes nothing.
    AppraisalFailed {
        /// Why.
        reason: &'a str,
    },
    /// A payload that cannot be had.
    FetchFailed {
        /// As the manifest names it.
        uri: &'a str,
        /// Why.
        reason: &'a str,
    },
}

/// Messages in one exchange: QueryRequest, Update, and a few more for errors; against a TAM that never
/// ends it (P-27).
const MAX_MESSAGES: usize = 16;

impl Broker {
    /// Runs one exchange with a TAM, from the Agent's first message (or an empty POST) to the TAM's last word.
    ///
    /// `agent` is the Agent (see the contract of [`teep_agent`]); `binaries` are taken instead of what would be
    /// fetched for the same components; `watch` sees what passes.
    ///
    /// # Errors
    /// [`BrokerError`]; the caller then tells the Agent by `ProcessError` (H-18, H-19).
    pub fn exchange<E>(
        &self,
        contact: &Contact,
        binaries: &Binaries,
        agent: &mut dyn FnMut(Input<'_>) -> Result<Step, E>,
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<(), BrokerError<E>> {
        // H-09 (5.1) the URI that the Agent passes back, whatever the caller named.
        let tam_uri = &contact.tam_uri;
        let base = Url::parse(tam_uri)
            .ok()
            .filter(|uri| matches!(uri.scheme(), "http" | "https") && uri.has_host())
            .ok_or_else(|| BrokerError::BadUri {
                uri: tam_uri.into(),
            })?;
        // H-11, H-12 (5.1) begin with what the Agent has to say, or with an empty POST.
        let mut message = contact.message.clone().unwrap_or_default();
        for _ in 0..MAX_MESSAGES {
            watch(Traffic::Sent(&message));
            let answer = self.post(tam_uri, &message)?;
            watch(Traffic::Received(&answer));
            // H-14 (5.2) an empty answer ends the session.
            if answer.is_empty() {
                return Ok(());
            }
            // H-15 (5.2) anything else goes to the Agent, and its answer back to the TAM.
            let mut step = agent(Input::Message(&answer)).map_err(BrokerError::Agent)?;
            message = loop {
                step = match step {
                    Step::Send(message) => break message,
                    Step::Fetch { uri, component } => match binaries.get(&component) {
                        Some(path) => feed(path, agent, watch)?,
                        None => self.feed(&base, &uri, agent, watch)?,
                    },
                    // Nothing is being fetched, so there is no more.
                    Step::MorePayload => agent(Input::PayloadFailed).map_err(BrokerError::Agent)?,
                    Step::Appraise { format, evidence } => {
                        self.have_appraised(&format, &evidence, agent, watch)?
                    }
                    Step::Idle => return Ok(()),
                };
            };
        }
        Err(BrokerError::Endless {
            uri: tam_uri.into(),
            limit: MAX_MESSAGES,
        })
    }

    /// Has Evidence appraised and tells the Agent; returns the Agent's next step.
    fn have_appraised<E>(
        &self,
        format: &str,
        evidence: &[u8],
        agent: &mut dyn FnMut(Input<'_>) -> Result<Step, E>,
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<Step, BrokerError<E>> {
        let next = match self.appraise(format, evidence) {
            Ok(result) => agent(Input::AttestationResult(&result)),
            Err(reason) => {
                watch(Traffic::AppraisalFailed { reason: &reason });
                agent(Input::AppraisalFailed)
            }
        };
        next.map_err(BrokerError::Agent)
    }

    /// Fetches a payload and feeds it to the Agent; returns the Agent's next step.
    fn feed<E>(
        &self,
        base: &Url,
        uri: &str,
        agent: &mut dyn FnMut(Input<'_>) -> Result<Step, E>,
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<Step, BrokerError<E>> {
        // Set when the Agent has had enough of the payload and went on to something else.
        let mut next = None;
        let complete = self.fetch(
            base,
            uri,
            watch,
            &mut |bytes| match agent(Input::Payload(bytes)) {
                Ok(Step::MorePayload) => Ok(true),
                Ok(other) => {
                    next = Some(other);
                    Ok(false)
                }
                Err(error) => Err(BrokerError::Agent(error)),
            },
        )?;
        match next {
            Some(step) => Ok(step),
            None if complete => agent(Input::PayloadEnd).map_err(BrokerError::Agent),
            None => agent(Input::PayloadFailed).map_err(BrokerError::Agent),
        }
    }
}

/// Feeds a binary that an application brought to the Agent; returns the Agent's next step.
fn feed<E>(
    path: &Path,
    agent: &mut dyn FnMut(Input<'_>) -> Result<Step, E>,
    watch: &mut dyn FnMut(Traffic<'_>),
) -> Result<Step, BrokerError<E>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return fail(path, &error, agent, watch),
    };
    let mut piece = vec![0; CHUNK];
    loop {
        let input = match file.read(&mut piece) {
            Ok(0) => Input::PayloadEnd,
            Ok(count) => Input::Payload(&piece[..count]),
            Err(error) => return fail(path, &error, agent, watch),
        };
        match agent(input).map_err(BrokerError::Agent)? {
            Step::MorePayload => {}
            other => return Ok(other),
        }
    }
}

fn fail<E>(
    path: &Path,
    error: &std::io::Error,
    agent: &mut dyn FnMut(Input<'_>) -> Result<Step, E>,
    watch: &mut dyn FnMut(Traffic<'_>),
) -> Result<Step, BrokerError<E>> {
    watch(Traffic::FetchFailed {
        uri: &path.to_string_lossy(),
        reason: &error.to_string(),
    });
    agent(Input::PayloadFailed).map_err(BrokerError::Agent)
}
