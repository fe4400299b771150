//! Which traces are sampled.

use opentelemetry_sdk::trace::Sampler;

use super::reader::Reader;

/// The sampler; `parentbased_always_on` by default.
pub(super) fn sampler(reader: &mut Reader<'_>) -> Sampler {
    let default = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
    let Some(sampler) = reader.choice("OTEL_TRACES_SAMPLER") else {
        return default();
    };
    match sampler.as_str() {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio(reader)),
        "parentbased_always_on" => default(),
        "parentbased_always_off" => Sampler::ParentBased(Box::new(Sampler::AlwaysOff)),
        "parentbased_traceidratio" => {
            Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio(reader))))
        }
        _ => {
            reader.fault(
                "OTEL_TRACES_SAMPLER",
                "must be always_on, always_off, traceidratio, or one of these after parentbased_",
            );
            default()
        }
    }
}

fn ratio(reader: &mut Reader<'_>) -> f64 {
    let name = "OTEL_TRACES_SAMPLER_ARG";
    let Some(text) = reader.given.get(name) else {
        return 1.0;
    };
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.unwrap_or_else(|| {
        reader.fault(name, "must be a number from 0 to 1");
        1.0
    })
}
