//! The server of the tests itself: what it keeps over a crash, and that it can be stopped.

mod server;

use server::Server;

#[test]
fn an_append_only_file_outlives_a_crash_of_the_server() {
    let Some(mut server) = Server::start("an_append_only_file_outlives_a_crash_of_the_server", &[])
    else {
        return;
    };
    assert_eq!(server.tell(&["SET", "a", "1"]), "OK");
    server.restart();
    assert_eq!(server.tell(&["GET", "a"]), "1");
    server.stop();
    server.go_on();
    assert_eq!(server.calls("get"), 1);
    server.lose_data();
    server.restart();
    assert_eq!(server.tell(&["GET", "a"]), "");
}
