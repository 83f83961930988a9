//! What is said of the winners class by class.

use mfactor::{AccuracyKind, Confusion};
use report::by_class::{ByClass, MATRIX, winners};
use report::{compare, page, terminal};

use crate::sample::Sample;

/// So many classes, of which number `n` loses `n` of its 100 images to the class before it.
fn confusion(classes: u64) -> Confusion {
    let names = (0..classes).map(|class| format!("<class {class}>")).collect();
    let count = |row: u64, column: u64| match row {
        _ if row == column => 100 - row.min(100),
        _ if row == column + 1 => row.min(100),
        _ => 0,
    };
    let counts = (0..classes).map(|row| (0..classes).map(|column| count(row, column)).collect());
    Confusion::new(names, counts.collect(), "sample").unwrap()
}

#[test]
fn the_winners_are_shown_with_recalls_and_what_they_mistake() {
    let sample = Sample::new(20);
    let mut comparison = compare(&sample.input()).unwrap();
    assert!(!page(&sample.input(), &comparison).contains("Class by class"), "old studies know none");
    let winners = winners(&comparison);
    let shipped = &comparison.recommendations[0].model.as_ref().unwrap().model;
    assert_eq!(winners[0], (shipped.architecture.clone(), shipped.trial));
    assert!(winners.len() <= 3);
    let (architecture, trial) = winners[0].clone();
    comparison.by_class = vec![ByClass::new(architecture, trial, &confusion(4))];
    let html = page(&sample.input(), &comparison);
    assert_eq!(html.matches("taken for &lt;class 2&gt;</title>").count(), 4, "a cell for each true class");
    assert!(html.contains("recall of &lt;class 3&gt;: 97.00 %") && !html.contains("<class 3>"));
    let said = terminal(&comparison, false).split_whitespace().collect::<Vec<_>>().join(" ");
    let words = "accuracy 98.50 %, balanced accuracy 98.50 %. Lowest recall: <class 3> 97.00 %, <class 2> 98.00 %, \
                 <class 1> 99.00 %. Most often: <class 3> taken for <class 2> (3.00 %)";
    assert!(said.contains(words), "{said}");
}

#[test]
fn of_many_classes_the_worst_are_shown() {
    let sample = Sample::new(5);
    let mut comparison = compare(&sample.input()).unwrap();
    let (architecture, trial) = winners(&comparison)[0].clone();
    let of = ByClass::new(architecture, trial, &confusion(256));
    assert_eq!((of.classes.len(), of.mistaken.len(), of.counts.len()), (MATRIX, MATRIX, 0));
    assert_eq!((&*of.classes[0].name, of.classes[0].recall), ("<class 100>", Some(0.0)));
    comparison.by_class = vec![of];
    let html = page(&sample.input(), &comparison);
    assert!(html.contains("the lowest recalls of 256 classes") && html.contains("&lt;class 119&gt;"));
    assert!(!html.contains("Confusion matrix") && !html.contains("&lt;class 98&gt;"));
}

#[test]
fn balanced_accuracy_is_called_so() {
    let mut sample = Sample::new(5);
    sample.objective = sample.objective.with_accuracy(AccuracyKind::Balanced);
    let comparison = compare(&sample.input()).unwrap();
    assert_eq!(comparison.objective().unwrap(), sample.objective);
    assert!(terminal(&comparison, false).contains("A of M is balanced accuracy"));
    let html = page(&sample.input(), &comparison);
    for words in
        ["with A the balanced accuracy", "validation balanced accuracy, %", "A: balanced accuracy on"]
    {
        assert!(html.contains(words), "{words}");
    }
}
