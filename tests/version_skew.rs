//! Releases that are one apart work together: what one of them says that the other doesn't know is lost on
//! the way, as it is in a binary of that release.
//!
//! Relays stand between this release's client, coordinator and worker. They take every message apart and put
//! it together again by the protocol of the release before (`proto/previous.binpb`), tasks and results
//! inside of messages included, and leave out what that one does not have.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::body::Body;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, header::CONTENT_LENGTH};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage, Value, prost::Message,
};
use support::{
    Demo,
    fleet::{coordinator, first_build, saved_plan, start_build, tasks, undisturbed, until_clean},
    ok,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint, Server},
};
use tower::{Service, ServiceExt};

/// A message's flag and length in front of it.
const FRAME_HEADER_BYTES: usize = 5;

/// The protocol of the release before.
struct Previous {
    pool: DescriptorPool,
    /// Fields that it did not know.
    lost: AtomicU64,
}

impl Previous {
    fn load() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/previous.binpb");
        let pool = DescriptorPool::decode(&std::fs::read(path).unwrap()[..]).unwrap();
        Self { pool, lost: AtomicU64::new(0) }
    }

    /// A message as that release would hand it on.
    fn passed_on(&self, kind: &MessageDescriptor, bytes: &[u8]) -> Vec<u8> {
        let mut message = DynamicMessage::decode(kind.clone(), bytes).unwrap();
        self.forget_unknown(&mut message);
        message.encode_to_vec()
    }

    fn forget_unknown(&self, message: &mut DynamicMessage) {
        let unknown = message.take_unknown_fields().count();
        self.lost.fetch_add(unknown as u64, Ordering::Relaxed);
        let name = message.descriptor().full_name().to_owned();
        let fields: Vec<_> = message.fields().map(|(field, _)| field).collect();
        for field in fields {
            let inner = match (name.as_str(), field.name()) {
                ("prestage.v1.Lease", "task") => Some("prestage.v1.Task"),
                ("prestage.v1.Finished", "result") => Some("prestage.v1.TaskResult"),
                _ => None,
            };
            match message.get_field_mut(&field) {
                Value::Bytes(bytes) => {
                    if let Some(inner) = inner {
                        let kind = self.pool.get_message_by_name(inner).unwrap();
                        *bytes = self.passed_on(&kind, bytes).into();
                    }
                }
                Value::Message(inner) => self.forget_unknown(inner),
                Value::List(list) => {
                    for value in list {
                        if let Value::Message(inner) = value {
                            self.forget_unknown(inner);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// What a call takes and gives, if that release has it.
    fn call(&self, path: &str) -> Option<(MessageDescriptor, MessageDescriptor)> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        let service = self.pool.get_service_by_name(service)?;
        let method = service.methods().find(|known| known.name() == method)?;
        Some((method.input(), method.output()))
    }
}

/// Takes whole messages out of what has come so far, and passes them on.
fn pass_on(previous: &Previous, kind: &MessageDescriptor, come: &mut BytesMut) -> Bytes {
    let mut passed = BytesMut::new();
    while come.len() >= FRAME_HEADER_BYTES {
        let length = u32::from_be_bytes(come[1..FRAME_HEADER_BYTES].try_into().unwrap()) as usize;
        if come.len() < FRAME_HEADER_BYTES + length {
            break;
        }
        assert_eq!(come[0], 0, "nothing is compressed here");
        come.advance(FRAME_HEADER_BYTES);
        let message = previous.passed_on(kind, &come.split_to(length));
        passed.put_u8(0);
        passed.put_u32(message.len().try_into().unwrap());
        passed.extend_from_slice(&message);
    }
    passed.freeze()
}

async fn relay(previous: Arc<Previous>, mut to: Channel, request: Request<Body>) -> Response<Body> {
    let Some((input, output)) = previous.call(request.uri().path()) else {
        let unimplemented = [("grpc-status", "12"), ("content-type", "application/grpc")];
        let mut response = Response::new(Body::empty());
        for (name, value) in unimplemented {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        return response;
    };
    let (mut head, body) = request.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    let mut come = BytesMut::from(&body.collect().await.unwrap().to_bytes()[..]);
    let passed = pass_on(&previous, &input, &mut come);
    let body = tonic::body::Body::new(http_body_util::Full::new(passed));
    let answer = to.ready().await.unwrap().call(Request::from_parts(head, body)).await.unwrap();
    let (mut head, body) = answer.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    let state = (previous, output, body, BytesMut::new());
    let frames = futures::stream::unfold(state, |(previous, output, mut body, mut come)| async {
        loop {
            let frame = body.frame().await?;
            let Ok(frame) = frame else {
                return None;
            };
            let frame = match frame.into_data() {
                Ok(data) => {
                    come.extend_from_slice(&data);
                    let passed = pass_on(&previous, &output, &mut come);
                    if passed.is_empty() {
                        continue;
                    }
                    Frame::data(passed)
                }
                Err(frame) => Frame::trailers(frame.into_trailers().unwrap_or(HeaderMap::new())),
            };
            return Some((Ok::<_, Infallible>(frame), (previous, output, body, come)));
        }
    });
    Response::from_parts(head, Body::new(StreamBody::new(frames)))
}

/// A relay to a coordinator; gives its address.
async fn relay_to(address: &str, previous: Arc<Previous>) -> String {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let service = tower::service_fn(move |request| {
        let (previous, channel) = (previous.clone(), channel.clone());
        async move { Ok::<_, Infallible>(relay(previous, channel, request).await) }
    });
    let routes = Routes::from(axum::Router::new().fallback_service(service));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming));
    at
}

/// To a coordinator of this release its worker and client seem of the one before; to them the coordinator
/// does.
#[test]
fn a_medium_is_built_by_releases_that_are_one_apart() {
    let demo = Demo::new();
    let plan = saved_plan(&demo, "fast", &[]);
    let expected = undisturbed(&demo, &plan);
    let (_coordinator, address) = coordinator(&demo, "127.0.0.1:0");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (to_client, to_worker) = (Arc::new(Previous::load()), Arc::new(Previous::load()));
    let for_clients = runtime.block_on(relay_to(&address, to_client.clone()));
    let for_workers = runtime.block_on(relay_to(&address, to_worker.clone()));

    let (_worker, _log) = support::fleet::worker(&demo, &for_workers, "w");
    let build = start_build(&demo, &for_clients, &plan);
    let build_id = first_build(&demo, &for_clients);
    ok(&build.wait_with_output().unwrap());
    assert!(std::fs::read(demo.path("out.wim")).unwrap() == expected, "the medium is another");
    let done = tasks(&demo, &for_clients, &build_id);
    assert!(done.iter().all(|task| task["state"] == "done" && task["generation"] == 1), "{done:?}");
    until_clean(&demo);
    let lost = to_worker.lost.load(Ordering::Relaxed);
    assert!(
        lost > 0,
        "the releases say the same: then this shows nothing, see proto/previous.binpb"
    );
}
