//! A failure of the router itself: whom it hurts, and how it is counted.

use std::rc::Rc;

use switchover_http1::{Progress, RequestParser};

use super::bed::{Bed, Upstream, run};
use crate::connection::Asked;
use crate::lane::Routed;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_failure_of_the_router_is_counted_as_lost_and_the_lane_goes_on() {
    run(async {
        let upstream = Upstream::answering(OK).await;
        let bed = Bed::new(&[upstream.address]).await;
        let lane = Rc::clone(&bed.lane);
        let failing = tokio::task::spawn_local(async move {
            let mut parser = RequestParser::new();
            assert!(matches!(parser.parse(GET.as_bytes()), Ok(Progress::Complete { .. })));
            let head = parser.head(GET.as_bytes());
            let asked = Asked { peer: "127.0.0.1:1".parse().unwrap(), is_https: false, head: &head };
            let Routed::Forward(_ticket) = lane.route(&asked) else { unreachable!("the app has an instance") };
            panic!("as a test wants it");
        });
        assert!(failing.await.unwrap_err().is_panic());
        bed.ended(&["router-panicked"]).await;
        assert_eq!(bed.lane.look(None).apps[0].live.own["router-panicked"].lost, 1);
        let mut client = bed.client().await;
        client.send(GET.as_bytes()).await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    });
}
