//! Claims of this machine and over SSH are one.

use reprise_host::{Claim, Error, Host, LocalHost, Thing, claims_directory};

use crate::{There, kill};

fn claim(operation: &str, path: &str) -> Claim {
    let path = format!("/reprise-test/{}/{path}", std::process::id());
    Claim {
        operation: format!("ssh-{operation}-{}", std::process::id()),
        by: "admin@box".to_owned(),
        since: jiff::Timestamp::UNIX_EPOCH,
        things: vec![Thing::Path(path.into())],
    }
}

fn left(operation: &str) -> bool {
    claims_directory().join(format!("ssh-{operation}-{}.claim", std::process::id())).exists()
}

#[test]
fn what_is_claimed_over_ssh_is_claimed_here_and_the_other_way_round() {
    let (there, here) = (There::new(), LocalHost::new());
    let remote = there.host.claim(&claim("a", "srv/one")).unwrap();
    let refused = here.claim(&claim("b", "srv/one/below")).unwrap_err();
    assert!(refused.to_string().contains("run by admin@box since 1970"), "{refused}");
    assert!(refused.hint().is_some());
    drop(remote);
    assert!(!left("a"));
    let local = here.claim(&claim("b", "srv/one/below")).unwrap();
    assert!(matches!(there.host.claim(&claim("a", "srv")), Err(Error::Claimed { .. })));
    let beside = there.host.claim(&claim("a", "srv/two")).unwrap();
    drop((local, beside));
    assert!(!left("a") && !left("b"));
}

#[test]
fn a_claim_that_is_lost_with_the_connection_is_free_and_is_taken_anew() {
    let (there, here) = (There::new(), LocalHost::new());
    let remote = there.host.claim(&claim("c", "srv/three")).unwrap();
    there.clients().into_iter().for_each(kill);
    // Free for others as soon as the other side has seen it.
    drop(here.claim(&claim("d", "srv/three")).unwrap());
    there.host.stat(std::path::Path::new("/")).unwrap();
    assert!(here.claim(&claim("d", "srv/three")).is_err(), "the next thing that is done takes it anew");

    // Taken by someone else meanwhile, nothing more is done there.
    there.clients().into_iter().for_each(kill);
    let other = here.claim(&claim("d", "srv/three")).unwrap();
    assert!(matches!(there.host.stat(std::path::Path::new("/")), Err(Error::Claimed { .. })));
    drop(other);
    there.host.stat(std::path::Path::new("/")).unwrap();
    drop(remote);
    assert!(!left("c") && !left("d"));
}
