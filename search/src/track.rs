//! The ask and tell of one strategy: its history in memory, without evaluator or journal. What changes the
//! history is apart from what decides the change, so that a study can write it down in between.

use mfactor::cost::BoardCosts;
use mfactor::front::Losses;
use mfactor::measured_networks::MeasuredNetworks;
use mfactor::{Objective, Proposer, Result, SearchSpace, Trial, TrialState};

use crate::evaluators::Ended;
use crate::pruning::{Pruning, PruningScore};
use crate::seeding;
use crate::strategies::{Observation, Observed, Sought, Strategy};
use crate::tell::tell;

/// Proposals that may be skipped for each trial that was asked for. Then a strategy is at its end: what is left of the space
/// that could win is too rare for it to find.
const MOST_SKIPPED: u64 = 20;

/// What the trials of all strategies of a study have in common.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub sought: Sought,
    pub seed: u64,
    /// Trials of one strategy that may run at once.
    pub workers: u64,
    pub pruning: Option<Pruning>,
    /// Whether what could not win at any accuracy is not evaluated.
    pub skips: bool,
}

impl Terms {
    /// The paper's objective, one worker, and no pruning.
    pub fn new(space: SearchSpace, alpha: f64, seed: u64) -> Result<Self> {
        let objective = Objective::paper(alpha, space.minimum_parameters())?;
        Ok(Self::of(Sought::best(space, objective)?, seed))
    }

    /// One worker, and no pruning.
    pub fn of(sought: Sought, seed: u64) -> Self {
        Self { sought, seed, workers: 1, pruning: None, skips: false }
    }

    /// Number of trials whose ends trial `number` may know of. That it never knows of more is what makes a study
    /// with several workers a function of its configuration: which of them is the quicker one changes nothing.
    fn known(&self, number: usize) -> usize {
        number.saturating_sub(self.workers as usize - 1)
    }
}

/// One strategy and its trials, by trial number.
pub(crate) struct Track {
    proposer: Proposer,
    strategy: Box<dyn Strategy>,
    trials: Vec<Trial>,
    /// What a strategy knows of the first trials, as many as have ended for it: that does not change.
    observed: Vec<Observation>,
    /// Whether the strategy has nothing more to propose.
    exhausted: bool,
}

impl Track {
    /// A strategy that goes on from `trials`.
    pub fn new(proposer: Proposer, strategy: Box<dyn Strategy>, trials: Vec<Trial>) -> Self {
        Self { proposer, strategy, trials, observed: vec![], exhausted: false }
    }

    /// Who proposes.
    pub fn proposer(&self) -> &Proposer {
        &self.proposer
    }

    /// The history.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The history, given away.
    pub fn into_trials(self) -> Vec<Trial> {
        self.trials
    }

    /// Best M-factor so far.
    pub fn best(&self) -> Option<f64> {
        mfactor::trial::best(&self.trials).and_then(|trial| trial.m_factor)
    }

    /// Best M-factor so far; where a front is sought, the share of its hypervolume that the trials cover.
    pub fn best_or_covered(&self, sought: &Sought) -> Option<f64> {
        if !sought.is_front {
            return self.best();
        }
        let losses = |trial: &Trial| Some(sought.front.losses(trial.accuracy?, &trial.cost));
        let losses: Vec<Losses> = self.trials.iter().filter_map(losses).collect();
        (!losses.is_empty()).then(|| sought.front.share(&losses))
    }

    /// Number of trials that have ended.
    pub fn finished(&self) -> u64 {
        self.trials.iter().filter(|trial| trial.is_finished()).count() as u64
    }

    /// Seconds that were spent on trials, and the number of trials.
    pub fn seconds(&self) -> (f64, u64) {
        let trained = self.trials.iter().filter(|trial| trial.seconds.is_some());
        trained.fold((0.0, 0), |(sum, n), trial| (sum + trial.seconds_spent(), n + 1))
    }

    /// Number of the first trial that has not ended and is not one of the `running`: it was cut off.
    pub fn cut_off(&self, running: &[usize]) -> Option<usize> {
        let is_cut_off =
            |(number, trial): (usize, &Trial)| !trial.is_finished() && !running.contains(&number);
        self.trials.iter().enumerate().position(is_cut_off)
    }

    /// Takes in what others have changed, by number; what is `running` here nobody else changes.
    pub fn learn(&mut self, news: Vec<Trial>, running: &[usize]) {
        for trial in news {
            let number = trial.number as usize;
            if number == self.trials.len() {
                self.trials.push(trial);
            } else if !running.contains(&number) {
                self.replace(trial);
            }
        }
    }

    /// Whether everything is known that the next trial may know.
    pub fn is_ready(&self, terms: &Terms) -> bool {
        self.trials[..terms.known(self.trials.len())].iter().all(Trial::is_finished)
    }

    /// Whether the strategy said that it has nothing more to propose.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether it may propose now, of as many trials as were `asked` for; one that has skipped too much gives up.
    pub fn may_propose(&mut self, asked: u64, terms: &Terms) -> bool {
        let skipped = self.skipped();
        let is_done = self.trials.len() as u64 - skipped >= asked || self.exhausted;
        if is_done || !self.is_ready(terms) {
            return false;
        }
        if skipped >= MOST_SKIPPED * asked {
            self.exhausted = true;
        }
        !self.exhausted
    }

    /// Whether every trial has ended.
    pub fn is_ended(&self) -> bool {
        self.trials.iter().all(Trial::is_finished)
    }

    /// A new trial for [`Track::add`], whose id is not known yet; `None` if the strategy has nothing more to propose.
    pub fn ask(&mut self, terms: &Terms) -> Option<Trial> {
        let number = self.trials.len() as u64;
        let mut rng = seeding::proposal(terms.seed, self.proposer.name(), number);
        self.observe(terms);
        let proposal = self.strategy.propose(&terms.sought, &self.observed, &mut rng);
        let ended = self.observed.iter().position(|other| matches!(other.observed, Observed::Running));
        self.observed.truncate(ended.unwrap_or(self.observed.len()));
        self.exhausted = proposal.is_none();
        let architecture = terms.sought.space.architecture(&proposal?);
        let cost = terms.sought.cost(&architecture);
        Some(Trial {
            id: 0,
            number,
            proposer: self.proposer.clone(),
            seed: seeding::training(terms.seed, &architecture),
            architecture,
            state: TrialState::Running,
            cost,
            size_score: terms.sought.objective.exact_size_score(&cost),
            accuracy: None,
            m_factor: None,
            epoch_accuracies: Vec::new(),
            seconds: None,
            images: None,
            reused: false,
            failure: None,
            failure_kind: None,
        })
    }

    /// Brings what the strategy knows up to date.
    fn observe(&mut self, terms: &Terms) {
        let known = terms.known(self.trials.len()) as u64;
        let news = &self.trials[self.observed.len()..];
        self.observed.extend(observations(news, known, &terms.sought));
    }

    /// Why a trial is not evaluated, if it is not: it breaks a limit; or no accuracy would give it a larger M than one that
    /// is known to it, `lead` among them, the best of the tracks that came before.
    pub fn reason_to_skip(&self, trial: &Trial, lead: Option<f64>, terms: &Terms) -> Option<String> {
        if let Some(breach) = terms.sought.objective.breach(&trial.cost) {
            return Some(breach);
        }
        let known = self.trials[..terms.known(trial.number as usize)].iter();
        let best = known.filter_map(|trial| trial.m_factor).chain(lead).reduce(f64::max);
        let (best, bound) = (best.filter(|_| terms.skips)?, terms.sought.objective.bound(trial.size_score));
        (bound <= best)
            .then(|| format!("M is at most {bound:.4} whatever its accuracy, and {best:.4} is reached"))
    }

    /// A running trial that is not evaluated, for [`Track::replace`].
    pub fn skip(&self, number: usize, reason: String) -> Trial {
        Trial { state: TrialState::Skipped, failure: Some(reason), ..self.trials[number].clone() }
    }

    /// Number of trials that were not evaluated.
    pub fn skipped(&self) -> u64 {
        self.trials.iter().filter(|trial| trial.state == TrialState::Skipped).count() as u64
    }

    /// Adds the trial that was asked for last.
    pub fn add(&mut self, trial: Trial) {
        self.trials.push(trial);
    }

    /// Numbers of the trials that failed.
    pub fn failed(&self) -> impl Iterator<Item = usize> {
        let failed = |(_, trial): &(usize, &Trial)| trial.state == TrialState::Failed;
        self.trials.iter().enumerate().filter(failed).map(|(number, _)| number)
    }

    /// A failed trial as it begins again, under a new id, for [`Track::replace`].
    pub fn again(&self, number: usize, terms: &Terms) -> Trial {
        let mut trial = Trial {
            state: TrialState::Running,
            failure: None,
            failure_kind: None,
            epoch_accuracies: vec![],
            ..self.trials[number].clone()
        };
        trial.measure(BoardCosts::default(), &terms.sought.objective);
        trial
    }

    /// Forgets what a running trial has said, for its evaluation begins again.
    pub fn begin(&mut self, number: usize) {
        self.trials[number].epoch_accuracies.clear();
        self.trials[number].reused = false;
    }

    /// Keeps the accuracy after an epoch of a running trial.
    pub fn report(&mut self, number: usize, accuracy: f64) {
        self.trials[number].epoch_accuracies.push(accuracy);
    }

    /// Marks a running trial as one that costs nothing.
    pub fn reuse(&mut self, number: usize) {
        self.trials[number].reused = true;
    }

    /// Takes in what a board said of a running trial's network.
    pub fn measure(&mut self, number: usize, costs: BoardCosts, terms: &Terms) {
        self.trials[number].measure(costs, &terms.sought.objective);
    }

    /// Takes in what boards said of networks after their trials had ended.
    pub fn learn_measured(&mut self, known: &MeasuredNetworks, terms: &Terms) {
        self.observed.clear();
        learn_measured(&mut self.trials, known, &terms.sought.objective);
    }

    /// In what a trial costs more than it may.
    pub fn breach(&self, number: usize, terms: &Terms) -> Option<String> {
        terms.sought.objective.breach(&self.trials[number].cost)
    }

    /// Whether a running trial goes on after `epoch`, held against the trials that it may know of.
    pub fn goes_on(&self, number: usize, epoch: u32, terms: &Terms) -> bool {
        let Some(pruning) = &terms.pruning else { return true };
        let (objective, front, own) = (&terms.sought.objective, &terms.sought.front, &self.trials[number]);
        let score = |trial: &Trial| {
            let accuracy = *trial.epoch_accuracies.get(epoch as usize - 1)?;
            Some(match pruning.by {
                PruningScore::Accuracy | PruningScore::Front => accuracy,
                PruningScore::MFactor => objective.m_factor(accuracy, trial.size_score),
            })
        };
        let is_rival = |trial: &&Trial| {
            let costs_no_more = || front.costs_no_more(&trial.cost, &own.cost);
            trial.state != TrialState::Failed && (pruning.by != PruningScore::Front || costs_no_more())
        };
        let rivals = self.trials[..terms.known(number)].iter().filter(is_rival).filter_map(score);
        score(own).is_none_or(|score| pruning.goes_on(score, &rivals.collect::<Vec<_>>()))
    }

    /// A running trial as it ended; for [`Track::replace`].
    pub fn tell(&self, number: usize, ended: Ended, terms: &Terms) -> Trial {
        let mut trial = self.trials[number].clone();
        tell(&mut trial, ended, &terms.sought.objective);
        trial
    }

    /// Puts a trial in the place of the one with its number: as it ended, or as it begins again.
    pub fn replace(&mut self, trial: Trial) {
        let number = trial.number as usize;
        self.observed.truncate(number);
        self.trials[number] = trial;
    }
}

/// Has trials count as boards said of their networks, some of them after the trials had ended.
pub(crate) fn learn_measured(trials: &mut [Trial], known: &MeasuredNetworks, objective: &Objective) {
    for trial in trials {
        if let Some(network) = known.get(&trial.architecture) {
            trial.measure(network.costs(), objective);
        }
    }
}

/// What a strategy may know of trials when it proposes the next one, of the ends of those alone whose numbers are below `known`:
/// trials that another worker may still be at are running, and a pruned one has the M-factor it had got to.
pub(crate) fn observations(trials: &[Trial], known: u64, sought: &Sought) -> Vec<Observation> {
    let accuracy = |trial: &Trial| match trial.state {
        TrialState::Pruned => trial.epoch_accuracies.last().copied(),
        _ => trial.accuracy,
    };
    let observed = |trial: &Trial| match accuracy(trial) {
        _ if !trial.is_finished() || trial.number >= known => Observed::Running,
        Some(accuracy) => {
            Observed::Scored { score: sought.objective.m_factor(accuracy, trial.size_score), accuracy }
        }
        None => Observed::Failed,
    };
    let observation = |trial: &Trial| Observation {
        point: sought
            .space
            .point(&trial.architecture)
            .expect("a study holds architectures of its space alone"),
        cost: trial.cost,
        observed: observed(trial),
    };
    trials.iter().map(observation).collect()
}
