//! The device runtime: registers, connects, runs container modules as deployments ask, and reports.
//!
//! In the order of a device's life: [`config`] is read, [`provision`] gets an assignment,
//! [`connect`] opens a `session` with the hub, [`desired`] holds what should run, [`plan`]
//! compares it with what runs, [`reconcile`] acts on a container engine ([`runtime`]), and
//! `report` describes the outcome. The owner and the modules use the [`local_api`]. Nothing that
//! works is destroyed before its replacement is verified.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

pub mod clock;
pub mod files;

pub mod config;

pub mod certificates;

pub mod provision;

pub mod state;

pub mod device_tpm;

pub mod command;
pub mod connect;
pub mod identities;
mod session;

pub mod desired;
pub mod plan;
pub mod runtime;

pub mod metrics;
pub mod reconcile;
mod report;

mod merge_patch;

pub mod local_api;

pub mod daemon;
pub mod keys_role;

pub mod logging;
