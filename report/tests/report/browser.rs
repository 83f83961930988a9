//! A small client of Chromium's DevTools protocol over a pipe: just what looking at one page takes.
#![expect(clippy::unwrap_used, reason = "a browser that breaks off is a failed test")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A headless browser with one page.
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    calls: u64,
    /// Every event that arrived, in order.
    pub events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser.
    pub fn start() -> Self {
        let installed = |name: &&&str| {
            std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|p| p.join(name).is_file())
        };
        let name = NAMES.iter().find(installed);
        let name = name.expect("there is no Chromium; to install it, run: sudo apt-get install chromium");
        let profile = tempfile::tempdir().unwrap();
        // The protocol speaks on file descriptors 3 and 4; the shell makes them from our pipe. A browser
        // that hangs is ended by `timeout`.
        let script = r#"exec timeout 1200 "$0" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
            --disable-background-networking --no-first-run --remote-debugging-pipe --user-data-dir="$1" \
            3<&0 4>&1 >/dev/null 2>&1"#;
        let mut process = Command::new("sh")
            .args(["-c", script, name])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let (session, calls, events) = (None, 0, Vec::new());
        let mut browser = Self { process, to, from, session, calls, events, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session =
            browser.call("Target.attachToTarget", attach)["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens a file in a window of some width and waits until it is loaded.
    pub fn open(&mut self, file: &Path, width: u32) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.visit(&format!("file://{}", file.display()));
    }

    /// Goes to an address and waits until what it names is loaded.
    pub fn visit(&mut self, url: &str) {
        self.events.retain(|event| event["method"] != "Page.loadEventFired");
        self.call("Page.navigate", json!({ "url": url }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let message = self.receive();
            self.events.push(message);
        }
    }

    /// The value of a JavaScript expression.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let arguments = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", arguments);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Presses and releases a key, `times` times.
    pub fn press(&mut self, key: &str, code: u32, times: usize) {
        for _ in 0..times {
            for kind in ["keyDown", "keyUp"] {
                let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
                self.call("Input.dispatchKeyEvent", event);
            }
        }
    }

    /// What went wrong in the page, and what it asked the network for, apart from itself.
    pub fn complaints(&self, file: &Path) -> Vec<String> {
        let own = format!("file://{}", file.display());
        let complaint = |event: &Value| {
            let parameters = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" | "Log.entryAdded" | "Page.javascriptDialogOpening" => {
                    Some(event.to_string())
                }
                "Runtime.consoleAPICalled" => Some(event.to_string()),
                "Network.requestWillBeSent" => {
                    let url = parameters["request"]["url"].as_str()?;
                    (url != own && !url.starts_with("data:")).then(|| format!("asked for {url}"))
                }
                _ => None,
            }
        };
        self.events.iter().filter_map(complaint).collect()
    }

    /// Calls a method of the protocol and returns its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.receive();
            if answer["id"] == self.calls {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn receive(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser ended");
        serde_json::from_slice(&bytes).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // `timeout` hands the signal of an orderly end on to the browser.
        let close = json!({ "id": self.calls + 1, "method": "Browser.close" });
        let _ = self.to.write_all(format!("{close}\0").as_bytes());
        let _ = self.process.wait();
    }
}
