//! `/api/agents/…`: the keys and certificates that may be Agents', those that may not, and how many were refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use teep_cose::{Certificate, PublicKey, Thumbprint};
use teep_tam::AgentKeys;

use super::{PAGE, after, stored, thumbprint};
use crate::problem::Problem;
use crate::store::agents::AgentList;
use crate::{Service, body, now};

/// `GET /api/agents/allowed` and `/blocked`: a list, a page at a time.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<serde_json::Value>, Problem> {
    let list = list_named(&name)?;
    let after = after(&uri)?;
    let agents = service
        .store
        .listed_agents(list, after.as_ref(), PAGE)
        .await?;
    let is_full = agents.len() == PAGE as usize;
    let next = agents.last().filter(|_| is_full);
    let next = next.map(|agent| agent.thumbprint.clone());
    Ok(Json(serde_json::json!({ "agents": agents, "next": next })))
}

/// `POST`: puts a key or certificate on the list. 201, or 200 if it is there already.
///
/// The body is JSON: `{"pem": "…", "name": "…"}` with a public key or a certificate, or `{"thumbprint": "…", …}`.
/// A certificate that is blocked brings its key onto the list (`key` in the answer), else it would help not to show it, or
/// to have another one. `note` says where even that holds nobody.
pub(super) async fn add(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let list = list_named(&name)?;
    let bytes = body::read(
        request.into_body(),
        CERTIFICATE_BYTES,
        service.limits.body_time,
    )
    .await?;
    let named = Named::read(&bytes)?;
    let name = named.name.as_deref().filter(|name| !name.is_empty());
    let agent = named.agent()?;
    let (thumbprint, key) = (agent.thumbprint(), agent.key_beside(list));
    let all: Vec<_> = [thumbprint].into_iter().chain(key).collect();
    let is_new = service.store.list_agent(list, &all, name, now()).await?;
    tracing::info!(agent = %thumbprint, list = list.name(), is_new, "a device's key or certificate was listed");
    let mut answer = serde_json::json!({
        "thumbprint": thumbprint.to_string(), "list": list.name(), "name": name,
    });
    if let Some(key) = key {
        answer["key"] = key.to_string().into();
    }
    let is_open = service.tam.policy.agent_keys == AgentKeys::Any;
    if is_open && list == AgentList::Blocked && agent.is_authority() {
        answer["note"] = NOBODY_SHOWS.into();
    }
    Ok(stored(is_new, answer))
}

/// `DELETE /api/agents/allowed/THUMBPRINT` and `/blocked/THUMBPRINT`: takes it off the list.
pub(super) async fn remove(
    State(service): State<Arc<Service>>,
    Path((name, agent)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let list = list_named(&name)?;
    let agent = thumbprint(&agent)?;
    if service.store.unlist_agent(list, &agent).await? {
        tracing::info!(%agent, list = list.name(), "a device's key or certificate is listed no longer");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("this thumbprint is not on the list"))
    }
}

/// `GET /api/agents/refused`: how many messages were refused since the start, by reason.
pub(super) async fn refused(State(service): State<Arc<Service>>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "refused": service.refusals.all() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    pem: Option<String>,
    thumbprint: Option<String>,
    name: Option<String>,
}

impl Named {
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(bytes)
            .map_err(|error| Problem::bad_request(format!("JSON: {error}")))
    }

    fn agent(&self) -> Result<Agent, Problem> {
        match (&self.pem, &self.thumbprint) {
            (None, Some(text)) => thumbprint(text).map(Agent::Thumbprint),
            (Some(pem), None) => Agent::from_pem(pem),
            _ => Err(Problem::bad_request("give either pem or thumbprint")),
        }
    }
}

/// What is to be put on a list.
enum Agent {
    /// Of a key or a certificate: nobody can tell which.
    Thumbprint(Thumbprint),
    Certificate(Box<Certificate>),
}

impl Agent {
    /// The first certificate, or the key if there is none.
    fn from_pem(pem: &str) -> Result<Self, Problem> {
        if pem.contains("BEGIN CERTIFICATE") {
            let certificates = Certificate::all_from_pem(pem);
            let certificates =
                certificates.map_err(|error| Problem::bad_request(format!("pem: {error}")))?;
            return Ok(Self::Certificate(certificates[0].clone().into()));
        }
        let key = PublicKey::from_pem(pem);
        let key = key.map_err(|error| Problem::bad_request(format!("pem: {error}")))?;
        Ok(Self::Thumbprint(key.thumbprint()))
    }

    fn thumbprint(&self) -> Thumbprint {
        match self {
            Self::Thumbprint(thumbprint) => *thumbprint,
            Self::Certificate(certificate) => Thumbprint(certificate.fingerprint().0),
        }
    }

    /// The key that is blocked with a certificate. It is not allowed with one: that counts in its own time only.
    fn key_beside(&self, list: AgentList) -> Option<Thumbprint> {
        match (self, list) {
            (Self::Certificate(certificate), AgentList::Blocked) => {
                Some(certificate.public_key().thumbprint())
            }
            _ => None,
        }
    }

    fn is_authority(&self) -> bool {
        matches!(self, Self::Certificate(certificate) if certificate.is_authority())
    }
}

fn list_named(name: &str) -> Result<AgentList, Problem> {
    let lists = [AgentList::Allowed, AgentList::Blocked];
    let list = lists.into_iter().find(|list| list.name() == name);
    list.ok_or_else(|| Problem::not_found("the lists are allowed and blocked"))
}

/// More than a chain of the largest certificates in PEM.
const CERTIFICATE_BYTES: usize = 128 << 10;
/// For the operator who blocks an authority, of a TAM that wants no certificates.
const NOBODY_SHOWS: &str = "this TAM takes devices without certificates, so one below this authority comes in by not showing \
     it: start the TAM with the authorities that you trust (--device-authority), or block each device by its key";
