//! `muster dps issuer trust`: CA certificates whose devices may enrol.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Name, ROOT};
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, ServiceClient};

/// `muster dps issuer trust`; without a verb it creates.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct TrustFlags {
    #[command(subcommand)]
    command: Option<TrustCommand>,
    /// The name of the issuer.
    #[arg(long, visible_alias = "name", short = 'n', value_name = "NAME")]
    issuer_name: Option<String>,
    /// The name of the CA certificate in the service.
    #[arg(long, visible_alias = "cn", value_name = "NAME")]
    certificate_name: Option<String>,
}

/// Verbs of `muster dps issuer trust`.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Let devices with a certificate under an uploaded, verified CA certificate have
    /// certificates issued, each for its own name.
    #[command(after_help = "Example:\n  \
            muster dps issuer trust create --issuer-name fleet --certificate-name maker --data-dir \
            ./data")]
    Create {
        #[command(flatten)]
        trust: Trust,
    },
    /// List the CA certificates that an issuer trusts.
    #[command(
        after_help = "Example:\n  muster dps issuer trust list --issuer-name fleet --data-dir ./data"
    )]
    List {
        #[command(flatten)]
        name: Name,
    },
    /// Trust a CA certificate no longer. Certificates that were issued stay valid.
    #[command(after_help = "Example:\n  \
            muster dps issuer trust delete --issuer-name fleet --certificate-name maker --data-dir \
            ./data")]
    Delete {
        #[command(flatten)]
        trust: Trust,
    },
}

#[derive(Debug, Args)]
pub struct Trust {
    #[command(flatten)]
    issuer: Name,
    /// The name of the CA certificate in the service.
    #[arg(long, visible_alias = "cn", value_name = "NAME")]
    certificate_name: String,
}

const COLUMNS: &[Column] = &[("CertificateName", "/certificateName")];

pub async fn run(
    flags: &TrustFlags,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let created;
    let issuer = match &flags.command {
        Some(TrustCommand::Create { trust }) => {
            call(client, Method::PUT, trust).await?;
            &trust.issuer
        }
        Some(TrustCommand::Delete { trust }) => {
            call(client, Method::DELETE, trust).await?;
            return Ok(());
        }
        Some(TrustCommand::List { name }) => name,
        None => {
            created = without_verb(flags)?;
            call(client, Method::PUT, &created).await?;
            &created.issuer
        }
    };
    let path = [&ROOT[..], &[&issuer.issuer_name, "trusts"]].concat();
    let names = client.call(Call::new(Method::GET, &path)).await?;
    let names = names.as_array().into_iter().flatten();
    let rows: Value = names
        .map(|name| json!({ "certificateName": name }))
        .collect();
    Ok(output::print(invocation.output, &rows, COLUMNS)?)
}

/// What is created when no verb is given.
fn without_verb(flags: &TrustFlags) -> Result<Trust, CommandError> {
    let names = flags
        .issuer_name
        .clone()
        .zip(flags.certificate_name.clone());
    let wanted = "--issuer-name and --certificate-name, or a verb, were expected";
    let (issuer_name, certificate_name) =
        names.ok_or_else(|| CommandError::Usage(wanted.to_owned()))?;
    Ok(Trust {
        issuer: Name { issuer_name },
        certificate_name,
    })
}

async fn call(client: &ServiceClient, method: Method, trust: &Trust) -> anyhow::Result<Value> {
    let name = &trust.certificate_name;
    let path = [&ROOT[..], &[&trust.issuer.issuer_name, "trusts", name]].concat();
    Ok(client.call(Call::new(method, &path)).await?)
}
