use super::*;

/// Longer than the pipe and than the stream below the WebSocket.
const LONG: usize = 5 * PIPE;

async fn relayed() -> (WebSocketStream<DuplexStream>, DuplexStream) {
    let (server, client) = tokio::io::duplex(PIPE);
    let (server_end, socket_end) = tokio::io::duplex(PIPE);
    let socket = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
    tokio::spawn(relay(socket, socket_end));
    (
        WebSocketStream::from_raw_socket(client, Role::Client, None).await,
        server_end,
    )
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_and_a_long_message_pass_each_other() {
    let (client, mut server) = relayed().await;
    let (mut sink, mut stream) = client.split();
    // As the MQTT connection does: it sends its whole answer before it reads again.
    let server_task = async {
        server.write_all(&[1; LONG]).await.unwrap();
        let mut message = vec![0; LONG];
        server.read_exact(&mut message).await.unwrap();
    };
    let sending = async {
        sink.send(Message::Binary(vec![2; LONG].into()))
            .await
            .unwrap()
    };
    let receiving = async {
        let mut received = 0;
        while received < LONG {
            received += stream.next().await.unwrap().unwrap().into_data().len();
        }
    };
    let all = async { tokio::join!(server_task, sending, receiving) };
    // Virtual time passes only when every task waits.
    tokio::time::timeout(Duration::from_secs(1), all)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_bytes_of_the_server_arrive_while_the_client_sends() {
    let (client, mut server) = relayed().await;
    let (mut sink, mut stream) = client.split();
    server.write_all(b"refused").await.unwrap();
    drop(server);
    let _ = sink.send(Message::Binary(vec![2; 8].into())).await;
    let last = stream.next().await.unwrap().unwrap();
    assert_eq!(last.into_data(), Bytes::from_static(b"refused"));
    assert!(matches!(stream.next().await, Some(Ok(Message::Close(_)))));
}

/// Sends raw bytes to a WebSocket and returns the code that it is closed with.
async fn closed_with(bytes: &[u8]) -> Option<u16> {
    let (server, mut client) = tokio::io::duplex(PIPE);
    let (_server, socket_end) = tokio::io::duplex(PIPE);
    let limits = WebSocketConfig::default().max_message_size(Some(1000));
    let socket = WebSocketStream::from_raw_socket(server, Role::Server, Some(limits)).await;
    tokio::spawn(relay(socket, socket_end));
    client.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    match answer.as_slice() {
        [0x88, length, high, low, ..] if *length >= 2 => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// H21: RFC 6455, 7.4.1.
#[tokio::test(start_paused = true)]
async fn each_fault_of_a_client_has_a_close_code() {
    // FIN and opcode, length with the mask bit, mask.
    let masked = |first: u8, length: u8| vec![first, 0x80 | length, 0, 0, 0, 0];
    let cases = [
        ("not masked", vec![0x82, 1, 0], 1002),
        ("reserved bits", masked(0xF2, 0), 1002),
        ("reserved opcode", masked(0x83, 0), 1002),
        ("continues nothing", masked(0x80, 0), 1002),
        ("text", masked(0x81, 0), 1003),
        (
            "too long",
            [&[0x82, 0xFE, 0x10, 0][..], &[0; 5000]].concat(),
            1009,
        ),
        ("closes", [masked(0x88, 2), vec![3, 0xE8]].concat(), 1000),
    ];
    for (what, bytes, code) in cases {
        assert_eq!(closed_with(&bytes).await, Some(code), "{what}");
    }
}
