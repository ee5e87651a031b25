//! Problems as HTTP answers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use switchover_model::Problem;

/// A problem on its way to the client.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) problem: Problem,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &str, cause: impl Into<String>, next: &str) -> Self {
        Self { status, problem: Problem::new(code, cause, next) }
    }

    /// A parameter, header or body that is not of its form.
    pub(crate) fn malformed(code: &str, cause: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, cause, "Look at GET /openapi.json for the form.")
    }
}

impl From<Problem> for Refusal {
    /// The status follows from the problem's code: unknown names are 404, what may pass by itself is 503, and what the
    /// state machine refuses is 409.
    fn from(problem: Problem) -> Self {
        let status = match problem.code.as_str() {
            "APP-UNKNOWN" | "RELEASE-UNKNOWN" | "PROCESS-UNKNOWN" | "INSTANCE-UNKNOWN" => StatusCode::NOT_FOUND,
            "STATE-NOT-WRITABLE" | "DISK-FULL" | "SHUTTING-DOWN" | "TIMED-OUT" | "ROUTER-UNREACHABLE"
            | "JOURNAL-UNREADABLE" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        Self { status, problem }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.problem)).into_response()
    }
}
