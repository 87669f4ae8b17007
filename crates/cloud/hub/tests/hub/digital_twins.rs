//! Plug and Play devices: properties and commands of their digital twins.

use serde_json::{Value, json};

use crate::methods::answer;
use crate::world::{World, connect, eventually};

const MODEL: &str = "dtmi:com:example:Thermostat;1";

/// H8: the model is the one that the device announced.
#[tokio::test]
async fn a_digital_twin_shows_its_model_and_properties() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut connect = connect("d1", Some(&world.token("devices/d1", &key)));
    let username = connect.username.unwrap();
    connect.username = Some(format!("{username}&model-id={}", MODEL.replace(';', "%3B")));
    let mut device = world.open(&connect, None).await.unwrap();
    let report = json!({"serial": "s1", "thermostat1": {"__t": "c", "max": 25.3}});
    let topic = "$iothub/twin/PATCH/properties/reported/?$rid=1";
    device.request(topic, report.to_string().as_bytes()).await;

    let patch = json!([{"op": "add", "path": "/thermostat1/target", "value": 20}]);
    let ask = world.ask("PATCH", "/digitaltwins/d1").json(&patch);
    let changed = ask.send().await;
    assert_eq!(changed.status, 202);
    let desired = world.get("/twins/d1").await["properties"]["desired"].clone();
    assert_eq!(desired["thermostat1"], json!({"__t": "c", "target": 20}));
    let stale = world.ask("PATCH", "/digitaltwins/d1").json(&patch);
    let stale = stale.if_match("\"AAAAAAAAAAE=\"").send().await;
    stale.refused(412, "PreconditionFailed");

    let twin = eventually(async || {
        let twin = world.get("/digitaltwins/d1").await;
        (twin["$metadata"]["$model"] == MODEL).then_some(twin)
    })
    .await;
    assert_eq!(
        (&twin["$dtId"], &twin["serial"]),
        (&json!("d1"), &json!("s1"))
    );
    assert_eq!(twin["thermostat1"]["max"], 25.3);
    let target = &twin["thermostat1"]["$metadata"]["target"];
    assert_eq!(target["desiredValue"], 20);
    let none = world.ask("GET", "/digitaltwins/none").send().await;
    none.refused(404, "DeviceNotFound");
}

#[tokio::test]
async fn commands_reach_the_device_or_its_component() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe("$iothub/methods/POST/#").await;
    for (path, name) in [
        ("commands/reboot", "reboot"),
        (
            "components/thermostat1/commands/getMaxMinReport",
            "thermostat1*getMaxMinReport",
        ),
    ] {
        let path = format!("/digitaltwins/d1/{path}?responseTimeoutInSeconds=10");
        let ask = world.ask("POST", &path).json(&json!({"since": 1}));
        let (reply, asked) = tokio::join!(ask.send(), answer(&mut device, 201, b"{\"max\": 3}"));
        assert_eq!(asked, (name.to_owned(), json!({"since": 1})));
        assert_eq!(reply.header("x-ms-command-statuscode"), "201");
        assert_eq!(reply.header("x-ms-request-id").len(), 36);
        assert_eq!(reply.ok(), json!({"max": 3}));
    }
    let path = "/digitaltwins/d1/commands/quiet";
    let (reply, asked) = tokio::join!(
        world.ask("POST", path).send(),
        answer(&mut device, 200, b"")
    );
    assert_eq!((asked.1, reply.ok()), (Value::Null, Value::Null));
    let short = format!("{path}?responseTimeoutInSeconds=1");
    let short = world.ask("POST", &short).send().await;
    short.refused(400, "ArgumentInvalid");
    device.end(None).await;
    let offline = world.ask("POST", path).send().await;
    offline.refused(404, "DeviceNotOnline");
}
