use proptest::prelude::*;

use super::*;

fn proxy(text: &str) -> Proxy {
    Proxy::parse(text).unwrap()
}

#[test]
fn proxies_are_read_in_the_forms_that_people_write() {
    for (text, printed) in [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("HTTP://proxy.example", "http://proxy.example:80"),
        ("https://proxy.example/", "https://proxy.example:443"),
        ("proxy:8080", "http://proxy:8080"),
        ("http://[::1]:3128", "http://::1:3128"),
        ("http://u:p@10.0.0.1:1", "http://10.0.0.1:1"),
    ] {
        assert_eq!(proxy(text).to_string(), printed);
    }
    for wrong in [
        "socks5://proxy:1080",
        "http://",
        "http://a b",
        "http://proxy:port",
        "http://[::1",
    ] {
        assert!(Proxy::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Proxies::parse(Some("  "), None), Ok(Proxies::default()));
}

/// The variable may hold a password; error messages and logs must not.
#[test]
fn user_and_password_are_sent_and_not_shown() {
    let proxy = proxy("http://us%40er:se%3Acret@proxy:1");
    let expected = format!("Basic {}", STANDARD.encode("us@er:se:cret"));
    assert_eq!(proxy.authorization.as_deref(), Some(expected.as_str()));
    let proxies = Proxies::parse(Some("http://user:hunter2@proxy:1"), None).unwrap();
    assert!(!format!("{proxies:?}").contains("hunter2"));
    let error = Proxies::parse(Some("ftp://user:hunter2@proxy"), None).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn no_proxy_names_hosts_domains_and_networks() {
    let direct = |list: &str, host: &str| {
        let proxies = Proxies::parse(Some("http://proxy:1"), Some(list)).unwrap();
        proxies.proxy_for(host, 443).is_none()
    };
    for (list, host, expected) in [
        ("hub.example", "hub.example", true),
        ("example", "hub.EXAMPLE", true),
        (".example", "hub.example", true),
        ("*.example", "hub.example", true),
        ("example", "hubexample", false),
        ("hub.example:443", "hub.example", true),
        ("hub.example:8883", "hub.example", false),
        ("localhost, 10.0.0.0/8", "10.1.2.3", true),
        ("10.0.0.0/8", "11.1.2.3", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("0.0.0.0/0", "127.0.0.2", true),
        ("fe80::/10", "fe80::1", true),
        ("[::1]", "[::1]", true),
        ("*", "anything", true),
        ("", "hub.example", false),
        ("10.0.0.0/99, ,", "10.0.0.1", false),
    ] {
        assert_eq!(direct(list, host), expected, "{list} {host}");
    }
}

#[tokio::test]
async fn an_answer_of_a_proxy_opens_the_connection_or_says_why_not() {
    let ask = async |proxy: &str, answer: &'static [u8]| {
        let (mut near, mut remote) = tokio::io::duplex(64 * 1024);
        let answering = tokio::spawn(async move {
            let asked = read_header(&mut remote).await.unwrap();
            // The proxy may have gone away.
            let _ = remote.write_all(answer).await;
            drop(remote);
            asked
        });
        let outcome = Proxy::parse(proxy)
            .unwrap()
            .connect(&mut near, "hub.example", 8883)
            .await;
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        (answering.await.unwrap(), outcome, rest)
    };
    let (asked, outcome, rest) = ask(
        "http://u:p@proxy",
        b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nhello",
    )
    .await;
    assert!(asked.starts_with("CONNECT hub.example:8883 HTTP/1.1\r\nHost: hub.example:8883\r\n"));
    assert!(asked.contains("Proxy-Authorization: Basic dTpw\r\n"));
    assert_eq!((outcome, rest.as_slice()), (Ok(()), b"hello".as_slice()));
    let refused = async |proxy, answer| ask(proxy, answer).await.1.unwrap_err();
    let plain = "http://proxy";
    assert!(
        refused(plain, b"HTTP/1.1 407 x\r\n\r\n")
            .await
            .contains("asks for a user name")
    );
    assert!(
        refused("http://u@p", b"HTTP/1.1 407 x\r\n\r\n")
            .await
            .contains("does not accept")
    );
    assert!(
        refused(plain, b"HTTP/1.1 503\r\n\r\n")
            .await
            .contains("503")
    );
    assert!(
        refused(plain, b"SSH-2.0-x\r\n\r\n")
            .await
            .contains("not HTTP")
    );
    assert!(refused(plain, b"HTTP/1.1 200").await.contains("closed"));
    assert!(refused(plain, &[b'x'; 10_000]).await.contains("longer"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(proxy in ".{0,40}", list in ".{0,40}", host in "[a-z0-9.:]{0,20}") {
        if let Ok(proxies) = Proxies::parse(Some(&proxy), Some(&list)) {
            let _ = proxies.proxy_for(&host, 443);
        }
    }
}
