//! `muster dps issuer user`: who has certificates issued over EST with a password.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ids::Timestamp;
use reqwest::Method;
use serde_json::Value;
use wire::muster_api::issued_certificate::length_of_time;
use wire::muster_api::issuer::IssuerUserRequest;

use super::{Name, ROOT, erase};
use crate::cli::{Column, Invocation, output};
use crate::clock;
use crate::service_client::{Call, CommandError, ServiceClient};

/// Verbs of `muster dps issuer user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Create a user. Without --password-file the answer has a made-up password, once.
    #[command(after_help = "Examples:\n  \
            muster dps issuer user create --issuer-name fleet --username line-1 --uses 500 \
            --expires 2027-01-01T00:00:00Z --data-dir ./data\n  \
            muster dps issuer user create --issuer-name fleet --username line-2 --password-file \
            line-2.password --data-dir ./data")]
    Create {
        #[command(flatten)]
        user: UserName,
        #[command(flatten)]
        settings: UserFlags,
    },
    /// List the users of an issuer, without passwords.
    #[command(after_help = "Example:\n  \
            muster dps issuer user list --issuer-name fleet --data-dir ./data --output table")]
    List {
        #[command(flatten)]
        name: Name,
        /// At most this many.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Give a user another password, and other uses or another end if they are given.
    #[command(after_help = "Example:\n  \
            muster dps issuer user reset --issuer-name fleet --username line-1 --uses 500 \
            --data-dir ./data")]
    Reset {
        #[command(flatten)]
        user: UserName,
        #[command(flatten)]
        settings: UserFlags,
    },
    /// Delete a user. Certificates that were issued to it stay valid.
    #[command(after_help = "Example:\n  \
            muster dps issuer user delete --issuer-name fleet --username line-1 --data-dir ./data")]
    Delete {
        #[command(flatten)]
        user: UserName,
    },
}

#[derive(Debug, Args)]
pub struct UserName {
    #[command(flatten)]
    issuer: Name,
    /// The name of the user.
    #[arg(long, short = 'u', value_name = "NAME")]
    username: String,
}

#[derive(Debug, Args)]
pub struct UserFlags {
    /// A file with the password, in its first line [default: one is made up].
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// How many certificates may be issued.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// From when on the user is refused: RFC 3339, or a length of time from now, such as 30d.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires: Option<Timestamp>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    match length_of_time("expires", text) {
        Ok(length) => Ok(clock::now().plus(length)),
        Err(_) => Timestamp::parse(text).map_err(|error| error.to_string()),
    }
}

const COLUMNS: &[Column] = &[
    ("Username", "/username"),
    ("Password", "/password"),
    ("UsesLeft", "/usesLeft"),
    ("Expires", "/expires"),
];

impl UserFlags {
    fn body(&self) -> anyhow::Result<Value> {
        let password = self.password_file.as_deref();
        let password = password.map(ca::read_passphrase).transpose();
        let request = IssuerUserRequest {
            password: password.map_err(|error| CommandError::Input(error.into()))?,
            uses: self.uses,
            expires: self.expires,
        };
        Ok(request.to_body())
    }
}

pub async fn run(
    command: &UserCommand,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let answer = match command {
        UserCommand::Create { user, settings } => {
            write(client, (Method::PUT, user, &[]), settings).await?
        }
        UserCommand::Reset { user, settings } => {
            write(client, (Method::POST, user, &["reset"]), settings).await?
        }
        UserCommand::List { name, top } => {
            let path = [&ROOT[..], &[&name.issuer_name, "users"]].concat();
            client.list(&path, None, *top).await?.into()
        }
        UserCommand::Delete { user } => client.call(Call::new(Method::DELETE, &path(user))).await?,
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

fn path(user: &UserName) -> Vec<&str> {
    [
        &ROOT[..],
        &[&user.issuer.issuer_name, "users", &user.username],
    ]
    .concat()
}

async fn write(
    client: &ServiceClient,
    (method, user, verb): (Method, &UserName, &[&str]),
    settings: &UserFlags,
) -> anyhow::Result<Value> {
    let path = [&path(user)[..], verb].concat();
    let mut body = settings.body()?;
    let answer = client.call(Call::new(method, &path).body(&body)).await;
    erase(&mut body);
    Ok(answer?)
}
