//! The device runtime: registers, connects, runs container modules as deployments say, and reports.
//!
//! In the order of a device's life: the configuration is read ([`config`]), the device gets its
//! assignment ([`provision`], kept in [`provision::assignment`]), connects ([`connect`]), compares
//! what is desired with what is there ([`plan`]), acts ([`reconcile`]) on a container engine
//! ([`runtime`]) and reports (`merge_patch`). Modules and owners talk to it over unix sockets
//! ([`local_api`]). Nothing that works is destroyed before its replacement is verified.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

mod causes;
pub mod clock;
pub mod files;

pub mod config;

pub mod provision;

pub mod state;

pub mod command;
pub mod connect;
pub mod identities;
mod session;

pub mod desired;
pub mod plan;
pub mod runtime;

pub mod reconcile;
mod report;

mod merge_patch;

pub mod local_api;

pub mod daemon;

pub mod logging;
