//! What the agent counts, and the figures of its modules and its machine, in the text format of
//! Prometheus and by the names of Azure's agent.

mod exporter;
mod host;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ids::ModuleId;

use self::text::Exposition;
pub(crate) use exporter::{Exporter, MetricSources};

/// What the agent counts from its start on. It outlives sessions and configurations.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    starts: BTreeMap<ModuleId, u64>,
    stops: BTreeMap<ModuleId, u64>,
    updates: BTreeMap<ModuleId, u64>,
    commands: BTreeMap<&'static str, Times>,
    deployments: Times,
    methods: BTreeMap<String, u64>,
    syncs: u64,
    failed_syncs: u64,
    modules: BTreeMap<ModuleId, Runtime>,
}

/// How often something was done, and how long all of it took.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    count: u64,
    sum: Duration,
}

/// How long a module should have run, and has.
#[derive(Debug, Clone, Copy, Default)]
struct Runtime {
    expected: Duration,
    correct: Duration,
}

type RuntimeTime = fn(&Runtime) -> Duration;

/// A command of the agent to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Pull,
    Create,
    Start,
    Stop,
    Remove,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Self::Pull => "PrepareUpdate",
            Self::Create => "Create",
            Self::Start => "Start",
            Self::Stop => "Stop",
            Self::Remove => "Remove",
        }
    }
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.sum = self.sum.saturating_add(time);
    }
}

impl Metrics {
    /// A command to the engine has succeeded.
    pub(crate) fn command(&self, module: &ModuleId, command: Command, took: Duration) {
        let mut counts = self.lock();
        counts.commands.entry(command.name()).or_default().add(took);
        let counter = match command {
            Command::Pull => &mut counts.updates,
            Command::Start => &mut counts.starts,
            Command::Stop => &mut counts.stops,
            Command::Create | Command::Remove => return,
        };
        *counter.entry(module.clone()).or_default() += 1;
    }

    /// A deployment is followed in full, so long after it came.
    pub(crate) fn deployed(&self, took: Duration) {
        self.lock().deployments.add(took);
    }

    /// A direct method was called.
    pub(crate) fn method(&self, name: &str) {
        *self.lock().methods.entry(name.to_owned()).or_default() += 1;
    }

    /// The whole twin was asked for.
    pub(crate) fn synced(&self, succeeded: bool) {
        let mut counts = self.lock();
        match succeeded {
            true => counts.syncs += 1,
            false => counts.failed_syncs += 1,
        }
    }

    /// Some time has passed, in which these modules should have run. The second is whether one has.
    pub(crate) fn passed<'a>(
        &self,
        time: Duration,
        modules: impl Iterator<Item = (&'a ModuleId, bool)>,
    ) {
        let mut counts = self.lock();
        for (module, runs) in modules {
            let runtime = counts.modules.entry(module.clone()).or_default();
            runtime.expected = runtime.expected.saturating_add(time);
            if runs {
                runtime.correct = runtime.correct.saturating_add(time);
            }
        }
    }

    fn write(&self, out: &mut Exposition) {
        let counts = self.lock();
        let by_module = [
            ("module_start_total", &counts.starts),
            ("module_stop_total", &counts.stops),
            ("module_prepare_update_total", &counts.updates),
        ];
        for (name, modules) in by_module {
            out.counter(name);
            for (module, count) in modules {
                out.sample(name, &[("module_name", module.as_str())], *count as f64);
            }
        }
        let expected = "total_time_expected_running_seconds";
        let correct = "total_time_running_correctly_seconds";
        let seconds: [(&str, RuntimeTime); 2] =
            [(expected, |r| r.expected), (correct, |r| r.correct)];
        for (name, time) in seconds {
            out.gauge(name);
            for (module, runtime) in &counts.modules {
                let labels = [("module_name", module.as_str())];
                out.sample(name, &labels, time(runtime).as_secs_f64());
            }
        }
        out.summary("command_latency_seconds");
        for (command, times) in &counts.commands {
            let labels = [("command", *command)];
            out.times("command_latency_seconds", &labels, times.count, times.sum);
        }
        out.summary("deployment_time_seconds");
        let Times { count, sum } = counts.deployments;
        out.times("deployment_time_seconds", &[], count, sum);
        for (name, count) in [
            ("iothub_syncs_total", counts.syncs),
            ("unsuccessful_iothub_syncs_total", counts.failed_syncs),
        ] {
            out.counter(name);
            out.sample(name, &[], count as f64);
        }
        out.counter("direct_method_invocations_count");
        for (name, count) in &counts.methods {
            let labels = [("method_name", name.as_str())];
            out.sample("direct_method_invocations_count", &labels, *count as f64);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A change that a panic cuts short leaves counts that are each valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_by_azures_names() {
        let metrics = Metrics::default();
        let module = ModuleId::parse("m").unwrap();
        metrics.command(&module, Command::Start, Duration::from_millis(500));
        metrics.command(&module, Command::Start, Duration::from_secs(1));
        metrics.command(&module, Command::Remove, Duration::from_secs(1));
        metrics.passed(Duration::from_secs(5), [(&module, true)].into_iter());
        metrics.passed(Duration::from_secs(5), [(&module, false)].into_iter());
        metrics.method("ping");
        metrics.synced(false);
        let mut out = Exposition::new(vec![("edge_device", "d\"1".to_owned())]);
        metrics.write(&mut out);
        let text = out.into_text();
        for line in [
            "# TYPE edgeAgent_module_start_total counter\n",
            "edgeAgent_module_start_total{edge_device=\"d\\\"1\",module_name=\"m\"} 2\n",
            "edgeAgent_command_latency_seconds_sum{edge_device=\"d\\\"1\",command=\"Start\"} 1.5\n",
            "edgeAgent_command_latency_seconds_count{edge_device=\"d\\\"1\",command=\"Start\"} 2\n",
            "edgeAgent_total_time_expected_running_seconds{edge_device=\"d\\\"1\",\
             module_name=\"m\"} 10\n",
            "edgeAgent_total_time_running_correctly_seconds{edge_device=\"d\\\"1\",\
             module_name=\"m\"} 5\n",
            "edgeAgent_unsuccessful_iothub_syncs_total{edge_device=\"d\\\"1\"} 1\n",
            "edgeAgent_direct_method_invocations_count{edge_device=\"d\\\"1\",\
             method_name=\"ping\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
