//! Loads the settings from all layers: defaults, then a file, then the environment, then flags. Reports the faults of all
//! layers together.

use std::path::Path;

use super::caller_limits;
use super::environment;
use super::fault::ConfigFault;
use super::flags::Flags;
use super::layers::{self, Given};
use super::otel::OtelVariables;
use super::setting;
use super::settings;
use super::tree::Config;

/// The settings file that is read if no other is named. It may be missing.
const DEFAULT_FILE: &str = "tollgate.yaml";

impl Config {
    /// Loads the settings: defaults, file, environment and flags, each overriding the previous ones.
    ///
    /// # Errors
    ///
    /// All faults of all layers.
    pub fn load(
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, Vec<ConfigFault>> {
        Config::load_with_default_file(Path::new(DEFAULT_FILE), flags, environment)
    }

    /// All effective settings as a settings file, with secrets redacted. A comment shows the origin of each setting that is
    /// not a default.
    pub fn to_yaml(&self) -> String {
        settings::render(self)
    }

    pub(super) fn load_with_default_file(
        default_file: &Path,
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let mut given = layers::file(default_file, flags.config.as_deref(), &mut faults);
        // an empty variable counts as not set
        let environment = environment.filter(|(_, value)| !value.is_empty());
        let (otel, environment): (Vec<_>, Vec<_>) =
            environment.partition(|(name, _)| environment::is_otel(name));
        given.extend(layers::environment(environment.into_iter(), &mut faults));
        given.extend(layers::flags(flags));
        let mut config = Config::default();
        config.telemetry.variables = OtelVariables(otel.into_iter().collect());
        for given in given {
            config.apply(given, &mut faults);
        }
        config.check_together(&mut faults);
        let limits = &mut config.limits;
        limits.in_flight_per_connection = Some(limits.in_flight_per_connection());
        limits.memory = Some(limits.memory());
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }

    /// Adds the faults of settings that require others.
    fn check_together(&self, faults: &mut Vec<ConfigFault>) {
        let tls = &self.tls;
        let (has_certificate, has_key) = (tls.certificate.is_some(), tls.key.is_some());
        let requirements = [
            ("tls.certificate", has_certificate, "tls.key", has_key),
            ("tls.key", has_key, "tls.certificate", has_certificate),
            (
                "tls.client_ca",
                tls.client_ca.is_some(),
                "tls.certificate",
                has_certificate,
            ),
            (
                "tls.client_certificates",
                tls.client_certificates.is_some(),
                "tls.client_ca",
                tls.client_ca.is_some(),
            ),
            (
                "auth.certificates",
                self.auth.certificates,
                "tls.client_ca",
                tls.client_ca.is_some(),
            ),
            (
                "auth.certificate_callers",
                !self.auth.certificate_callers.is_empty(),
                "auth.certificates",
                self.auth.certificates,
            ),
            (
                "metrics.tls",
                self.metrics.tls,
                "tls.certificate",
                has_certificate,
            ),
        ];
        for (path, is_set, required, has_required) in requirements {
            if is_set && !has_required {
                faults.push(self.fault(path, format!("requires {required}, which is not set")));
            }
        }
        for path in caller_limits::without_callers(self) {
            faults.push(self.fault(path, "requires auth, which is not set".to_owned()));
        }
        let (auth, audit) = (self.auth.faults(), self.audit.faults());
        faults.extend(
            auth.into_iter()
                .chain(audit)
                .map(|(path, text)| self.fault(path, text)),
        );
    }

    /// A fault of a setting that was parsed, with its origin.
    fn fault(&self, path: &str, text: String) -> ConfigFault {
        let origin = self.origins.get(path).cloned().unwrap_or_default();
        let is_variable = origin == setting::variable(path);
        ConfigFault {
            path: if is_variable {
                String::new()
            } else {
                path.to_owned()
            },
            origin,
            text,
        }
    }

    fn apply(&mut self, given: Given, faults: &mut Vec<ConfigFault>) {
        match (given.setting.read)(self, &given.raw) {
            Ok(()) => {
                self.models_set |= given.setting.path == "models";
                self.metrics.listen_set |= given.setting.path == "metrics.listen";
                self.origins.insert(given.setting.path, given.origin);
            }
            Err(text) => faults.push(ConfigFault {
                origin: given.origin,
                path: given.path,
                text,
            }),
        }
    }
}
