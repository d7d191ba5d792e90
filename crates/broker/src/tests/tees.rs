//! Several TEEs behind one Broker, over real HTTP on loopback. The Agents here only tell where a message went;
//! what true ones do with it is tested in crate `teep-lab`, and both together in crate `teep`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use suit::ComponentIdentifier;

use super::{EMPTY, MESSAGE, Script};
use crate::{Broker, BrokerError, Contact, Input, Request, Step, Tee, TeepAgent, Wish};

/// Everything that any Agent was asked, in order, with the name of its TEE.
type Calls = Rc<RefCell<Vec<String>>>;

/// An Agent that passes back what it is given, and says who asked what.
struct Recording {
    name: &'static str,
    calls: Calls,
    contacts: VecDeque<Contact>,
    provides: bool,
    fails: bool,
}

impl Recording {
    fn call(&self, what: &str) {
        self.calls
            .borrow_mut()
            .push(format!("{} {what}", self.name));
    }
}

impl TeepAgent for Recording {
    type Error = std::fmt::Error;

    fn request_ta(&mut self, request: &Request) -> Result<Option<Contact>, Self::Error> {
        self.call(&format!("RequestTA {}", request.component));
        Ok(self.contacts.pop_front())
    }

    fn unrequest_ta(
        &mut self,
        component: &ComponentIdentifier,
    ) -> Result<Option<Contact>, Self::Error> {
        self.call(&format!("UnrequestTA {component}"));
        Ok(self.contacts.pop_front())
    }

    fn request_policy_check(&mut self) -> Option<Contact> {
        self.call("RequestPolicyCheck");
        self.contacts.pop_front()
    }

    fn handle(&mut self, input: Input<'_>) -> Result<Step, Self::Error> {
        let Input::Message(message) = input else {
            panic!("only messages here")
        };
        self.call(&format!(
            "ProcessTeepMessage {}",
            String::from_utf8_lossy(message)
        ));
        match self.fails {
            true => Err(std::fmt::Error),
            false => Ok(Step::Send(format!("answer of {}", self.name).into_bytes())),
        }
    }

    fn process_error(&mut self, _: &str) {
        self.call("ProcessError");
    }

    fn provides(&self, _: &ComponentIdentifier) -> bool {
        self.provides
    }
}

/// The TEEs of a device, and what their Agents were asked.
struct Machine {
    tees: Vec<Tee<Recording>>,
    calls: Calls,
}

impl Machine {
    /// Each TEE by name, with its properties and the addresses that its Agent names, one after the other.
    fn new(tees: &[(&'static str, &[&str], &[&str])]) -> Self {
        let calls = Calls::default();
        let tee = |(name, properties, uris): &(&'static str, &[&str], &[&str])| Tee {
            name: (*name).into(),
            properties: properties
                .iter()
                .map(|property| (*property).into())
                .collect(),
            agent: Recording {
                name,
                calls: calls.clone(),
                contacts: uris.iter().map(|uri| super::contact(uri)).collect(),
                provides: false,
                fails: false,
            },
        };
        Self {
            tees: tees.iter().map(tee).collect(),
            calls: calls.clone(),
        }
    }

    fn request(&mut self, wish: &Wish) -> Result<Vec<String>, BrokerError<std::fmt::Error>> {
        let handled = Broker::new().request_ta(&mut self.tees, wish, &mut |_| {})?;
        Ok(handled.contacted)
    }

    fn calls(&self) -> Vec<String> {
        self.calls.take()
    }
}

fn wish(requirements: &[&str]) -> Wish {
    Wish {
        tee_requirements: requirements.iter().map(|one| (*one).into()).collect(),
        ..Wish::new(Request::new(id()))
    }
}

fn id() -> ComponentIdentifier {
    "ta".parse().unwrap()
}

/// Nobody listens on the discard port of loopback.
const NOBODY: &str = "http://127.0.0.1:9/tam";

/// Proves: H-08, H-10, A-07
#[test]
fn the_tee_is_chosen_by_what_the_application_requires() {
    let mut machine = Machine::new(&[
        ("small", &["wasm"], &[]),
        ("large", &["wasm", "secure-display"], &[]),
    ]);
    for (requirements, chosen) in [
        (&[][..], "small RequestTA ta"),
        (&["wasm"], "small RequestTA ta"),
        (&["secure-display"], "large RequestTA ta"),
        (&["secure-display", "wasm"], "large RequestTA ta"),
    ] {
        // No data back: nobody is contacted, and all is well.
        assert_eq!(machine.request(&wish(requirements)).unwrap(), [""; 0]);
        assert_eq!(machine.calls(), [chosen]);
    }
    let error = machine
        .request(&wish(&["secure-display", "camera"]))
        .unwrap_err();
    assert!(matches!(error, BrokerError::NoSuchTee { .. }));
    assert!(
        error.to_string().ends_with("camera and secure-display"),
        "{error}"
    );
    assert!(machine.calls().is_empty());
}

/// Proves: H-09, H-13, A-06
#[test]
fn each_message_reaches_the_tee_that_it_is_for_at_the_uri_that_its_agent_gave() {
    let (first, second) = (
        Script::start(&[MESSAGE, EMPTY]),
        Script::start(&[MESSAGE, EMPTY]),
    );
    let (one, two) = (first.uri.clone(), second.uri.clone());
    let mut machine = Machine::new(&[("one", &[], &[&one]), ("two", &["big"], &[&two])]);
    let named = |requirements| Wish {
        request: Request {
            tam_uris: vec![NOBODY.into()],
            ..Request::new(id())
        },
        ..wish(requirements)
    };
    assert_eq!(machine.request(&named(&["big"])).unwrap(), [two.as_str()]);
    let of_two = [
        "two RequestTA ta",
        "two ProcessTeepMessage hello",
        "two RequestTA ta",
    ];
    assert_eq!(machine.calls(), of_two);
    assert_eq!(machine.request(&named(&[])).unwrap(), [one.as_str()]);
    let of_one = of_two.map(|call| call.replace("two", "one"));
    assert_eq!(machine.calls(), of_one);
    assert!(first.requests()[1].ends_with("answer of one"));
    assert!(second.requests()[1].ends_with("answer of two"));
}

/// Proves: H-19, A-08
#[test]
fn tams_are_tried_until_one_responds() {
    let tam = Script::start(&[EMPTY]);
    let uri = tam.uri.clone();
    let mut machine = Machine::new(&[("tee", &[], &[NOBODY, &uri])]);
    machine.tees[0].agent.provides = true;
    assert_eq!(machine.request(&wish(&[])).unwrap(), [NOBODY, uri.as_str()]);
    assert_eq!(
        machine.calls(),
        [
            "tee RequestTA ta",
            "tee ProcessError",
            "tee RequestTA ta",
            "tee RequestTA ta"
        ]
    );
    assert_eq!(tam.requests().len(), 1);
}

/// An Agent that has no other TAM names the same again.
#[test]
fn a_tam_is_tried_once_and_its_failure_told() {
    let mut machine = Machine::new(&[("tee", &[], &[NOBODY, NOBODY, NOBODY])]);
    let error = machine.request(&wish(&[])).unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
    assert_eq!(
        machine.calls(),
        ["tee RequestTA ta", "tee ProcessError", "tee RequestTA ta"]
    );
}

/// The TAM gets no answer, and no error of the transport either: it hears nothing but TEEP.
///
/// Proves: H-18, A-04
#[test]
fn a_tee_that_fails_ends_the_session() {
    let tam = Script::start(&[MESSAGE]);
    let uri = tam.uri.clone();
    let mut machine = Machine::new(&[("tee", &[], &[&uri, NOBODY])]);
    machine.tees[0].agent.fails = true;
    let error = machine.request(&wish(&[])).unwrap_err();
    assert!(matches!(error, BrokerError::Agent(_)), "{error}");
    assert_eq!(
        machine.calls(),
        [
            "tee RequestTA ta",
            "tee ProcessTeepMessage hello",
            "tee ProcessError"
        ]
    );
    assert_eq!(tam.requests().len(), 1);
}

/// Proves: H-17
#[test]
fn unrequest_ta_is_handled_as_request_ta_is() {
    let tam = Script::start(&[MESSAGE, EMPTY]);
    let uri = tam.uri.clone();
    let mut machine = Machine::new(&[("without", &[], &[]), ("with", &[], &[&uri])]);
    let handled = Broker::new()
        .unrequest_ta(&mut machine.tees, &id(), &mut |_| {})
        .unwrap();
    let contacted: Vec<usize> = handled.iter().map(|one| one.contacted.len()).collect();
    assert_eq!(contacted, [0, 1]);
    assert_eq!(
        machine.calls(),
        [
            "without UnrequestTA ta",
            "with UnrequestTA ta",
            "with ProcessTeepMessage hello"
        ]
    );
    assert!(tam.requests()[1].ends_with("answer of with"));
    let mut machine = Machine::new(&[("tee", &[], &[NOBODY])]);
    let error = Broker::new()
        .unrequest_ta(&mut machine.tees, &id(), &mut |_| {})
        .unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
    assert_eq!(machine.calls(), ["tee UnrequestTA ta", "tee ProcessError"]);
}

/// Proves: H-16
#[test]
fn a_policy_check_goes_on_until_no_tam_of_any_tee_is_left() {
    let tam = Script::start(&[EMPTY, EMPTY]);
    let uri = tam.uri.clone();
    let mut machine = Machine::new(&[("one", &[], &[NOBODY, &uri]), ("two", &[], &[&uri])]);
    let result = Broker::new().request_policy_check(&mut machine.tees, &mut |_| {});
    assert!(matches!(result, Err(BrokerError::Unreachable { .. })));
    let (one, two) = ("one RequestPolicyCheck", "two RequestPolicyCheck");
    assert_eq!(
        machine.calls(),
        [one, "one ProcessError", one, one, two, two]
    );
    assert_eq!(tam.requests().len(), 2);
}

/// Proves: H-12
#[test]
fn a_message_that_comes_with_the_uri_is_sent_first() {
    let tam = Script::start(&[EMPTY]);
    let uri = tam.uri.clone();
    let mut machine = Machine::new(&[("tee", &[], &[&uri])]);
    machine.tees[0].agent.contacts[0].message = Some(b"unsolicited".to_vec());
    machine.request(&wish(&[])).unwrap();
    let request = tam.requests().pop().unwrap();
    assert!(request.ends_with("\r\n\r\nunsolicited"), "{request}");
    assert!(
        request.contains("content-type: application/teep+cbor\r\n"),
        "{request}"
    );
}
