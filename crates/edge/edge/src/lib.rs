//! The device runtime: registers, connects, runs container modules as deployments say, and reports.
//!
//! In the order of a device's life: the configuration is read ([`config`]), the device gets its assignment ([`provision`],
//! kept by [`assignment`]), connects ([`connect`]), compares what is desired with what is there ([`plan`]), acts
//! ([`reconcile`]) on a container engine ([`runtime`]) and reports ([`report`]). Modules and owners talk to it over unix
//! sockets ([`workload_api`], [`management_api`]). Nothing that works is destroyed before its replacement is verified.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

pub mod access;
mod causes;
pub mod clock;
pub mod durable;
pub mod paths;

pub mod config;

pub mod assignment;
pub mod keys;
pub mod provision;

pub mod connect;
pub mod identities;
mod methods;
mod session;
pub mod situation;

pub mod plan;
pub mod report;
pub mod restart_policy;
pub mod runtime;
pub mod spec;

pub mod reconcile;

mod local_http;
pub mod unix_socket;

pub mod management_api;
pub mod workload_api;

pub mod daemon;

pub mod logging;
