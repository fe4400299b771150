//! Empty variables count as unset for every library that reads the environment: the AWS SDK takes an empty
//! `AWS_REGION` for a region and panics over an empty `AWS_ENDPOINT_URL`. A process cannot change its own environment
//! safely, so it starts itself again without such variables; it keeps its process id, its files and its arguments.

use std::process::ExitCode;

use crate::config::empty_variables;

/// Restarts this program without its empty variables; `None` if there are none.
#[cfg(unix)]
pub(super) fn without_empty_ones() -> Option<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    let empty = empty_variables();
    if empty.is_empty() {
        return None;
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return Some(failure(&empty, &error)),
    };
    let mut again = Command::new(program);
    again.arg0(name).args(arguments);
    for variable in &empty {
        again.env_remove(variable);
    }
    // returns only if it fails
    let error = again.exec();
    Some(failure(&empty, &error))
}

#[cfg(not(unix))]
pub(super) fn without_empty_ones() -> Option<ExitCode> {
    let empty = empty_variables();
    let error = std::io::Error::from(std::io::ErrorKind::Unsupported);
    (!empty.is_empty()).then(|| failure(&empty, &error))
}

fn failure(empty: &[String], error: &std::io::Error) -> ExitCode {
    let names = empty.join(", ");
    super::exit::failure(&format!(
        "cannot start without empty variables: {error}; unset {names}"
    ))
}
