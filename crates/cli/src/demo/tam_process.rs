//! The demo's TAM: `teep tam serve` in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::exit::Failure;
use crate::tam;

/// A running `teep tam serve`, which ends with the demo.
pub(super) struct TamProcess {
    pub(super) child: Child,
    pub(super) url: String,
    pub(super) client: tam::Client,
}

impl TamProcess {
    /// Where devices find it.
    pub(super) fn uri(&self) -> String {
        format!("{}/tam", self.url)
    }

    /// Starts one in `folder`; its log goes beside it.
    pub(super) fn start(folder: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::own(format!("cannot start the TAM: {error}"));
        // Its log would stand between the demo's lines.
        let log = std::fs::File::create(folder.with_extension("log")).map_err(failed)?;
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .args(["tam", "serve", "--listen", "127.0.0.1:0", "--folder"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| Failure::own("the TAM has no output"))?;
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(failed)?;
        let url = line
            .trim()
            .strip_prefix("TAM at ")
            .and_then(|uri| uri.strip_suffix("/tam"));
        let Some(url) = url.map(String::from) else {
            let _gone = child.kill();
            let log = folder.with_extension("log");
            return Err(Failure::own(format!(
                "the TAM did not start; see {}",
                log.display()
            )));
        };
        let client = tam::Client::connect(
            &url,
            &folder.join("keys/operator.token"),
            &teep_broker::Tls::default(),
        )?;
        Ok(Self { child, url, client })
    }
}

impl Drop for TamProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
