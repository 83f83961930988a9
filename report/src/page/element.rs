//! HTML and SVG elements that escape what they are given, so that no text of a user becomes markup.

use std::fmt;

use mfactor::text::visible_lines;

/// An element with its attributes and children.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Child>,
}

#[derive(Debug, Clone)]
enum Child {
    Text(String),
    Element(Element),
}

impl Element {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), children: Vec::new() }
    }

    /// An element of a class with a text in it.
    pub(crate) fn of(name: &'static str, class: &str, text: impl ToString) -> Self {
        Self::new(name).class(class).text(text)
    }

    pub(crate) fn attr(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// Coordinates, to a hundredth of a pixel.
    pub(crate) fn place<const N: usize>(mut self, coordinates: [(&'static str, f64); N]) -> Self {
        self.attributes.extend(coordinates.map(|(name, value)| (name, pixels(value))));
        self
    }

    pub(crate) fn class(self, class: &str) -> Self {
        if class.is_empty() { self } else { self.attr("class", class) }
    }

    pub(crate) fn text(mut self, text: impl ToString) -> Self {
        let text = text.to_string();
        if !text.is_empty() {
            self.children.push(Child::Text(text));
        }
        self
    }

    pub(crate) fn child(mut self, child: Self) -> Self {
        self.children.push(Child::Element(child));
        self
    }

    pub(crate) fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children.into_iter().map(Child::Element));
        self
    }
}

/// A coordinate without needless digits.
pub(crate) fn pixels(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}", self.name)?;
        for (name, value) in &self.attributes {
            write!(f, " {name}=\"{}\"", escape(value))?;
        }
        f.write_str(">")?;
        if matches!(self.name, "input" | "br") {
            return Ok(());
        }
        for child in &self.children {
            match child {
                Child::Text(text) => f.write_str(&escape(text))?,
                Child::Element(element) => element.fmt(f)?,
            }
        }
        write!(f, "</{}>", self.name)
    }
}

/// Text that is safe between tags and inside a quoted attribute, and in which nothing hides or turns the direction of
/// writing.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible_lines(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_attributes_are_escaped() {
        let element = Element::new("p").attr("title", "\"><script>").text("<b> & 'c'");
        assert_eq!(
            element.to_string(),
            "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;b&gt; &amp; &#39;c&#39;</p>"
        );
    }

    #[test]
    fn nothing_hides_and_lines_stay() {
        assert_eq!(escape("a\nb\u{202e}c\u{200b}\u{0}"), "a\nb\\u{202e}c\\u{200b}\\u{0}");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!([1.0, 2.5, 0.126, -3.0, 100.0].map(pixels), ["1", "2.5", "0.13", "-3", "100"]);
    }
}
