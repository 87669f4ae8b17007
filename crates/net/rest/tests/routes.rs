//! A request's way through the kit, with a service of two nouns.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, Response};
use ids::{DeviceId, ModuleId};
use rest::{
    Asked, Call, OnProof, Reply, RequestError, RequestId, Service, Table, any, delete, get, post,
    put,
};

/// What a request of a test carries as its `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Reader,
    Writer,
}

#[derive(Clone, Default)]
struct Devices {
    /// The device ids that the check of the caller saw.
    checked: Arc<Mutex<Vec<String>>>,
}

struct Permit(Caller);

#[derive(Debug)]
enum Fault {
    Request(RequestError),
    Unauthorized,
}

impl From<RequestError> for Fault {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl Service for Devices {
    type Access = Caller;
    type Permit = Permit;
    type Error = Fault;

    async fn admit(&self, asked: &Asked<'_, Caller>) -> Result<Permit, Fault> {
        let device = asked.parameter("device").unwrap_or_default();
        self.checked.lock().unwrap().push(device.to_owned());
        match asked
            .parts
            .headers
            .get("authorization")
            .map(|text| text.as_bytes())
        {
            Some(b"writer") => Ok(Permit(Caller::Writer)),
            Some(b"reader") if *asked.access == Caller::Reader => Ok(Permit(Caller::Reader)),
            _ => Err(Fault::Unauthorized),
        }
    }

    fn refuse(&self, error: &Fault, _asked: &Parts, _request_id: &RequestId) -> Reply {
        let (status, text) = match error {
            Fault::Unauthorized => (401, "Unauthorized".to_owned()),
            Fault::Request(RequestError::NoSuchPath) => (404, "no path".to_owned()),
            Fault::Request(RequestError::Method(method)) => (405, method.to_string()),
            Fault::Request(RequestError::TooLarge { limit }) => (413, limit.to_string()),
            Fault::Request(other) => (400, other.to_string()),
        };
        Reply::json(&text).with_status(status)
    }
}

async fn show(call: Call<Devices>, device: DeviceId) -> Result<Reply, Fault> {
    Ok(named("GET", &call, &device))
}

async fn replace(call: Call<Devices>, device: DeviceId) -> Result<Reply, Fault> {
    Ok(named("PUT", &call, &device))
}

async fn remove(call: Call<Devices>, device: DeviceId) -> Result<Reply, Fault> {
    Ok(named("DELETE", &call, &device))
}

fn named(handler: &str, call: &Call<Devices>, device: &DeviceId) -> Reply {
    let Permit(caller) = &call.permit;
    Reply::json(&format!("{handler} {device} {caller:?}"))
}

async fn module(_call: Call<Devices>, device: DeviceId, module: ModuleId) -> Result<Reply, Fault> {
    Ok(Reply::json(&format!("{device}/{module}")))
}

async fn length(call: Call<Devices>) -> Result<Reply, Fault> {
    Ok(Reply::json(&call.body.len()))
}

async fn nothing(_call: Call<Devices>) -> Result<Reply, Fault> {
    Ok(Reply::no_content())
}

fn table() -> Table<Devices> {
    Table::new([
        vec![
            post("/devices/query", Caller::Reader, length).body_limit(4),
            get("/devices/{device}", Caller::Reader, show),
            put("/devices/{device}", Caller::Writer, replace),
            delete("/devices/{device}", Caller::Writer, remove),
            get("/devices/{device}/modules/{module}", Caller::Reader, module),
        ],
        vec![
            any("/jobs/**", Caller::Reader, nothing),
            get("/events", Caller::Reader, nothing).without_version(),
        ],
    ])
}

fn request(method: Method, uri: &str, caller: &str) -> Request {
    let builder = Request::builder().method(method).uri(uri);
    let builder = builder.header("authorization", caller);
    builder.body(Body::empty()).unwrap()
}

async fn read(response: Response<Body>) -> (u16, String) {
    assert_eq!(response.headers()["x-ms-request-id"].len(), 36);
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1024).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (status, text.trim_matches('"').to_owned())
}

async fn ask(service: &Devices, method: Method, uri: &str, caller: &str) -> (u16, String) {
    read(rest::answer(service, &table(), request(method, uri, caller)).await).await
}

#[tokio::test]
async fn a_path_is_found_in_any_letter_case_and_its_ids_keep_theirs() {
    let service = Devices::default();
    for (method, path, expected) in [
        (Method::GET, "/DEVICES/Edge-1", "GET Edge-1 Writer"),
        (Method::PUT, "/devices/Edge-1/", "PUT Edge-1 Writer"),
        (Method::GET, "/devices/query", "GET query Writer"),
        (Method::POST, "/devices/Query", "0"),
        (
            Method::GET,
            "/devices/d/Modules/%24edgeAgent",
            "d/$edgeAgent",
        ),
        (Method::PATCH, "/jobs", ""),
        (Method::GET, "/jobs/v2/query", ""),
    ] {
        let (status, text) =
            ask(&service, method, &format!("{path}?api-version=1"), "writer").await;
        assert!(status < 300, "{path}: {status} {text}");
        assert_eq!(text, expected, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_path_another_method_and_a_bad_id_are_told_apart_before_the_caller_is_checked() {
    let service = Devices::default();
    for (method, uri, status) in [
        (Method::GET, "/nothing?api-version=1", 404),
        (Method::GET, "/devices/d/other?api-version=1", 404),
        (Method::GET, "/devices?api-version=1", 404),
        (Method::PATCH, "/devices/d?api-version=1", 405),
        (Method::DELETE, "/devices/d/modules/m?api-version=1", 405),
        (Method::GET, "/devices/d", 400),
        (Method::GET, "/devices/a%20b?api-version=1", 400),
    ] {
        let (found, text) = ask(&service, method, uri, "nobody").await;
        assert_eq!(found, status, "{uri}: {text}");
    }
    assert!(service.checked.lock().unwrap().is_empty());
    assert_eq!(ask(&service, Method::GET, "/events", "reader").await.0, 204);
}

#[tokio::test]
async fn the_check_sees_what_the_route_demands_and_the_ids_of_the_path() {
    let service = Devices::default();
    for (method, caller, status) in [
        (Method::GET, "reader", 200),
        (Method::PUT, "reader", 401),
        (Method::PUT, "writer", 200),
        (Method::GET, "nobody", 401),
    ] {
        let (found, _) = ask(&service, method, "/devices/d7?api-version=1", caller).await;
        assert_eq!(found, status, "{caller}");
    }
    assert_eq!(*service.checked.lock().unwrap(), ["d7"; 4]);
}

/// A body costs memory while it arrives: a caller that is refused does not get to send one.
#[tokio::test]
async fn a_body_is_read_after_the_check_and_up_to_the_limit_of_its_route() {
    let service = Devices::default();
    for (caller, body, expected) in [
        ("reader", "1234", (200, "4")),
        ("reader", "12345", (413, "4")),
        ("nobody", "1234", (401, "Unauthorized")),
    ] {
        let polled = Arc::new(AtomicBool::new(false));
        let is_proven = Arc::new(AtomicBool::new(false));
        let (seen, proven) = (polled.clone(), is_proven.clone());
        let stream = futures_util::stream::once(async move {
            assert!(proven.load(Ordering::Relaxed));
            seen.store(true, Ordering::Relaxed);
            Ok::<_, std::io::Error>(body)
        });
        let mut request = request(Method::POST, "/devices/query?api-version=1", caller);
        *request.body_mut() = Body::from_stream(stream);
        let on_proof = is_proven.clone();
        let on_proof = OnProof(Arc::new(move || on_proof.store(true, Ordering::Relaxed)));
        request.extensions_mut().insert(on_proof);
        let (status, text) = read(rest::answer(&service, &table(), request).await).await;
        assert_eq!((status, text.as_str()), expected);
        assert_eq!(polled.load(Ordering::Relaxed), status != 401);
        assert_eq!(is_proven.load(Ordering::Relaxed), status != 401);
    }
}
