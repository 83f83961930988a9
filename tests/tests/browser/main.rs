//! What crosses rooms and is looked at in a headless Chromium.
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "../../../report/tests/report/browser.rs"]
mod browser;
mod dashboard;
mod page;
