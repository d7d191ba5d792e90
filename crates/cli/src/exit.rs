//! How a command ends: what went wrong, by whose fault, and the exit code that says so.

use std::fmt;

/// Why a command did not do what it was asked, in words for a person.
#[derive(Debug)]
pub(crate) struct Failure {
    fault: Fault,
    message: String,
}

/// Whose fault it was; each has an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody's: whoever read standard output has gone away. Exit code 0.
    ReaderGone,
    /// The other side refused, or a check failed. Exit code 1.
    Refused,
    /// Wrong usage or bad input. Exit code 2, as clap has it.
    Usage,
    /// The other side cannot be reached. Exit code 3.
    Unreachable,
    /// Ours: a disk that is full, a state that cannot be read. Exit code 4.
    Own,
}

/// The exit codes, for `teep --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the other side refused, or a check failed
  2  wrong usage or bad input
  3  the other side cannot be reached
  4  own failure, for example a full disk";

impl Failure {
    /// The other side refused, or a check failed.
    pub(crate) fn refused(message: impl fmt::Display) -> Self {
        Self::new(Fault::Refused, message)
    }

    /// Wrong usage or bad input.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Fault::Usage, message)
    }

    /// The other side cannot be reached.
    pub(crate) fn unreachable(message: impl fmt::Display) -> Self {
        Self::new(Fault::Unreachable, message)
    }

    /// A failure of our own.
    pub(crate) fn own(message: impl fmt::Display) -> Self {
        Self::new(Fault::Own, message)
    }

    /// Standard output is closed: end quietly.
    pub(crate) fn reader_gone() -> Self {
        Self::new(Fault::ReaderGone, "")
    }

    fn new(fault: Fault, message: impl fmt::Display) -> Self {
        Self {
            fault,
            message: message.to_string(),
        }
    }

    /// Whose fault it was.
    pub(crate) const fn fault(&self) -> Fault {
        self.fault
    }

    /// The exit code of the process.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self.fault {
            Fault::ReaderGone => 0,
            Fault::Refused => 1,
            Fault::Usage => 2,
            Fault::Unreachable => 3,
            Fault::Own => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
