//! What crosses rooms and is looked at in a headless Chromium.

#[path = "../../../report/tests/report/browser.rs"]
mod browser;
mod dashboard;
mod page;
