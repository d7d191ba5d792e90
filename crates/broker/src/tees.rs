//! A device's TEEs, the Agents in them, and which of them a request is for (RFC 9397 sections 6.1, 6.2).

use std::collections::BTreeSet;

use suit::ComponentIdentifier;

use crate::{Binaries, Broker, BrokerError, Contact, Input, Request, Step, Traffic};

/// A TEEP Agent as the Broker reaches it, in the same process or through a TEE's call gate: the interface of
/// RFC 9397 section 6.2.1.
///
/// It is all that there is between the two: the Broker has no other way to learn or to change anything.
pub trait TeepAgent {
    /// Why the Agent could not do it.
    type Error;

    /// `RequestTA`: an application needs a component.
    ///
    /// # Errors
    /// If the Agent cannot take the request up.
    fn request_ta(&mut self, request: &Request) -> Result<Option<Contact>, Self::Error>;

    /// `UnrequestTA`: no application needs a component any longer.
    ///
    /// # Errors
    /// As [`TeepAgent::request_ta`].
    fn unrequest_ta(
        &mut self,
        component: &ComponentIdentifier,
    ) -> Result<Option<Contact>, Self::Error>;

    /// `RequestPolicyCheck`: one TAM at each call, until `None` ends the round.
    fn request_policy_check(&mut self) -> Option<Contact>;

    /// `ProcessTeepMessage`, and the payloads that follow from a message.
    ///
    /// # Errors
    /// If the TEE itself failed.
    fn handle(&mut self, input: Input<'_>) -> Result<Step, Self::Error>;

    /// `ProcessError`: the TAM at this URI could not be reached.
    fn process_error(&mut self, tam_uri: &str);

    /// Whether the component is installed in this TEE.
    fn provides(&self, component: &ComponentIdentifier) -> bool;
}

impl<A: TeepAgent> TeepAgent for &mut A {
    type Error = A::Error;

    fn request_ta(&mut self, request: &Request) -> Result<Option<Contact>, Self::Error> {
        (**self).request_ta(request)
    }

    fn unrequest_ta(
        &mut self,
        component: &ComponentIdentifier,
    ) -> Result<Option<Contact>, Self::Error> {
        (**self).unrequest_ta(component)
    }

    fn request_policy_check(&mut self) -> Option<Contact> {
        (**self).request_policy_check()
    }

    fn handle(&mut self, input: Input<'_>) -> Result<Step, Self::Error> {
        (**self).handle(input)
    }

    fn process_error(&mut self, tam_uri: &str) {
        (**self).process_error(tam_uri);
    }

    fn provides(&self, component: &ComponentIdentifier) -> bool {
        (**self).provides(component)
    }
}

/// A TEE of the device, as the Broker knows it.
#[derive(Debug)]
pub struct Tee<A> {
    /// Its name on this device.
    pub name: String,
    /// What it can do, in words that applications' manifests use.
    pub properties: BTreeSet<String>,
    /// The Agent in it. Each exchange holds it, and nothing else: so every message of a TAM reaches the TEE
    /// that it is for, though a message names none.
    pub agent: A,
}

/// What an application's installer tells the Broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What the Agent is asked.
    pub request: Request,
    /// Properties that the TEE must have.
    pub tee_requirements: BTreeSet<String>,
    /// Binaries that came with the application; see [`Request::have_binary`].
    pub binaries: Binaries,
}

/// What became of a call of an Agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// The TEE's place in the list.
    pub tee: usize,
    /// The TAMs that were contacted, in order. With none, the Agent had no need to.
    pub contacted: Vec<String>,
}

impl Wish {
    /// Asks for a component, in whichever TEE comes first.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self {
            request,
            tee_requirements: BTreeSet::new(),
            binaries: Binaries::new(),
        }
    }
}

impl Broker {
    /// Has a component installed: in the first TEE that meets the requirements, from the first TAM that
    /// responds and has it.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchTee`]; [`BrokerError::Agent`]; what became of the last TAM that failed, if no other
    /// brought the component. That no TAM has it is no error: the Agent goes on asking for it.
    pub fn request_ta<A: TeepAgent>(
        &self,
        tees: &mut [Tee<A>],
        wish: &Wish,
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<Handled, BrokerError<A::Error>> {
        // H-08 (5.1), A-07 (A 6.1) the Broker chooses the TEE; the Agent takes only what is meant for its own.
        let meets = |tee: &Tee<A>| wish.tee_requirements.is_subset(&tee.properties);
        let tee = tees.iter().position(meets);
        let tee = tee.ok_or_else(|| BrokerError::NoSuchTee {
            requirements: wish.tee_requirements.iter().cloned().collect(),
        })?;
        let agent = &mut tees[tee].agent;
        let mut contacted = Vec::new();
        let mut failure = None;
        // H-10 (5.1) no data back: the component is there.
        while let Some(contact) = agent
            .request_ta(&wish.request)
            .map_err(BrokerError::Agent)?
        {
            // A-08 (A 4.4) the Agent names the next TAM as long as there is one.
            if contacted.contains(&contact.tam_uri) {
                break;
            }
            contacted.push(contact.tam_uri.clone());
            match self.contact(&contact, agent, &wish.binaries, watch) {
                Ok(()) => {}
                Err(error @ BrokerError::Agent(_)) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !agent.provides(&wish.request.component) => Err(error),
            _ => Ok(Handled { tee, contacted }),
        }
    }

    /// Has every TEE that holds the component, or was asked for it, give it up.
    ///
    /// # Errors
    /// [`BrokerError`] of the first that failed.
    // H-17 (5.4) what the Agent passes back is handled as after RequestTA.
    pub fn unrequest_ta<A: TeepAgent>(
        &self,
        tees: &mut [Tee<A>],
        component: &ComponentIdentifier,
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<Vec<Handled>, BrokerError<A::Error>> {
        let mut handled = Vec::new();
        for (tee, Tee { agent, .. }) in tees.iter_mut().enumerate() {
            let mut contacted = Vec::new();
            let contact = agent.unrequest_ta(component).map_err(BrokerError::Agent)?;
            if let Some(contact) = contact {
                contacted.push(contact.tam_uri.clone());
                self.contact(&contact, agent, &Binaries::new(), watch)?;
            }
            handled.push(Handled { tee, contacted });
        }
        Ok(handled)
    }

    /// Asks each TAM of each TEE whether there is anything new. One that fails does not keep the others from
    /// their turn.
    ///
    /// # Errors
    /// The first failure, after all had their turn.
    // H-16 (5.3) called by a timer, again and again, until no TAM is left.
    pub fn request_policy_check<A: TeepAgent>(
        &self,
        tees: &mut [Tee<A>],
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<(), BrokerError<A::Error>> {
        let mut result = Ok(());
        for Tee { agent, .. } in tees {
            while let Some(contact) = agent.request_policy_check() {
                let exchanged = self.contact(&contact, agent, &Binaries::new(), watch);
                result = result.and(exchanged);
            }
        }
        result
    }

    /// One exchange of one Agent with the TAM that it named.
    // H-13 (5.1) the session: this Agent and the HTTP request under way; it ends with this call.
    fn contact<A: TeepAgent>(
        &self,
        contact: &Contact,
        agent: &mut A,
        binaries: &Binaries,
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<(), BrokerError<A::Error>> {
        let handle = &mut |input: Input<'_>| agent.handle(input);
        let result = self.exchange(contact, binaries, handle, watch);
        if result.is_err() {
            // H-18, H-19 (5.6) the Agent is told, and gives up what was under way.
            agent.process_error(&contact.tam_uri);
        }
        result
    }
}
