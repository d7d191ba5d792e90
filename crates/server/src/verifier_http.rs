//! `POST /verifier`: Evidence in, an Attestation Result out.
//!
//! For devices that must have a TAM's Evidence appraised before they answer it (draft section 7.2.1), and for
//! those that bring their own Attestation Result as a passport. The Evidence's media type is its
//! Content-Type; the answer is an EAT of the TEEP profile. Who asks need not be known: an Attestation Result
//! says whose key it is about, and counts for nobody else. Whether its nonce is right, only the client knows: a
//! passport, which counts by its age, is made of Evidence only that says itself that it was made just now.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

use crate::problem::Problem;
use crate::teep_http::accepts;
use crate::{Service, body, verifier};

pub(crate) async fn post(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Problem> {
    if !accepts(request.headers(), RESULT) {
        return Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "The client must accept Attestation Results",
            "send the header Accept: application/eat+cwt",
        ));
    }
    let format = request.headers().get(CONTENT_TYPE);
    let format = format.and_then(|value| value.to_str().ok());
    let Some(format) = format.map(str::to_owned) else {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The Evidence's media type is needed",
            "send it in the header Content-Type",
        ));
    };
    let limits = &service.limits;
    let evidence = body::read(request.into_body(), limits.message_bytes, limits.body_time).await?;
    // What nonce is right, only who asks can know.
    match verifier::appraise(&service, &format, &evidence, &service.verifiers.for_anybody).await? {
        Ok(appraised) => {
            let media_type = service.tam.profile.media_type().to_string();
            Ok(([(CONTENT_TYPE, media_type)], appraised.result).into_response())
        }
        // What the Verifier has against the Evidence is for the one who made it.
        Err(refused) => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The Evidence is not accepted",
            refused.reason,
        )),
    }
}

/// RFC 9782.
const RESULT: &str = "application/eat+cwt";
