//! Carries out a plan. One module's trouble is nobody else's.

use wire::manifest::{AgentDesired, RegistryCredential};

use super::Agent;
use crate::causes::chain_of;
use crate::clock;
use crate::plan::{Action, Desired, Failure, Plan, Step, Wanted};
use crate::runtime::{ModuleRuntime, RuntimeError};

impl<R: ModuleRuntime> Agent<R> {
    pub(super) async fn act(&mut self, desired: &AgentDesired, wanted: &Desired, plan: &Plan) {
        if plan
            .actions
            .iter()
            .any(|action| action.steps.contains(&Step::Create))
            && let Err(error) = self.runtime.prepare().await
        {
            tracing::warn!(error = %chain_of(&error), "the modules' network is not ready");
        }
        for action in &plan.actions {
            tracing::info!(module.id = %action.module, steps = ?action.steps, why = action.why, "acting");
            let module = wanted.get(&action.module);
            let outcome = self.carry_out(action, desired, module).await;
            let digest = module
                .and_then(|wanted| wanted.spec.as_ref())
                .map(|spec| spec.digest.as_str());
            match (outcome, digest) {
                (Ok(()), _) => drop(self.memory.failures.remove(&action.module)),
                (Err(error), digest) => {
                    let problem = chain_of(&error);
                    tracing::warn!(module.id = %action.module, error = %problem, "the module is not as desired");
                    if let Some(digest) = digest {
                        let earlier = self.memory.failures.get(&action.module);
                        let failure = Failure::after(earlier, digest, problem, clock::now());
                        self.memory.failures.insert(action.module.clone(), failure);
                    }
                }
            }
        }
    }

    async fn carry_out(
        &self,
        action: &Action,
        desired: &AgentDesired,
        wanted: Option<&Wanted>,
    ) -> Result<(), RuntimeError> {
        let module = &action.module;
        for step in &action.steps {
            let spec = wanted.and_then(|wanted| wanted.spec.as_ref());
            match (step, spec) {
                (Step::Stop, _) => self.runtime.stop(module).await?,
                (Step::Remove, _) => self.runtime.remove(module).await?,
                (Step::Start, _) => self.runtime.start(module).await?,
                (Step::Fetch, Some(spec)) => self.fetch(&spec.image, desired).await?,
                (Step::Create, Some(spec)) => self.runtime.create(spec).await?,
                // A plan has these steps only for modules with a container to create.
                (Step::Fetch | Step::Create, None) => {
                    return Err(RuntimeError::NoContainer(module.clone()));
                }
            }
        }
        Ok(())
    }

    async fn fetch(&self, image: &str, desired: &AgentDesired) -> Result<(), RuntimeError> {
        if self.runtime.has_image(image).await? {
            return Ok(());
        }
        let credential = desired
            .registry_credentials
            .values()
            .find(|credential| serves(credential, image));
        self.runtime.pull(image, credential).await
    }
}

fn serves(credential: &RegistryCredential, image: &str) -> bool {
    let first = image.split('/').next().unwrap_or_default();
    let host = if image.contains('/') && (first.contains(['.', ':']) || first == "localhost") {
        first
    } else {
        "docker.io"
    };
    let address = credential
        .address
        .trim_start_matches("https://")
        .trim_end_matches('/');
    address.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_only_to_their_registry() {
        let serves = |address: &str, image: &str| {
            let text = || "x".to_owned();
            serves(
                &RegistryCredential {
                    address: address.to_owned(),
                    username: text(),
                    password: text(),
                },
                image,
            )
        };
        assert!(serves("reg.example", "reg.example/a/b:1"));
        assert!(serves("https://reg.example:5000/", "reg.example:5000/a"));
        assert!(serves("docker.io", "library/alpine:3") && serves("docker.io", "alpine"));
        assert!(
            !serves("reg.example", "evil.example/reg.example/a")
                && !serves("reg.example", "alpine")
        );
    }
}
