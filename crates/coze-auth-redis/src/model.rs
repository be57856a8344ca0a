//! The lease and the revisions under every order of events, up to a number of them: processes that share a grant, an engine that loses,
//! delays and repeats calls, and a token endpoint at which each refresh token works once. The scripts are told here in Rust, step by step
//! as `scripts` has them; what a holder decides is [`Holder`] itself. Planted faults must be found.

use std::collections::HashSet;
use std::time::Duration;

use crate::lease::Holder;

/// A lease, in the steps of the clock.
const LEASE: u64 = 2;
/// Steps of the clock in a run.
const STEPS: u64 = 4;
/// How often each process renews at most: one that does so twice is enough for a call that is late by a whole renewal.
const RENEWALS: [u8; 2] = [2, 1];

const fn time(steps: u64) -> Duration {
    Duration::from_secs(steps)
}

/// What is planted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    None,
    /// `SAVE` writes whatever the revision is.
    SaveDoesNotCompare,
    /// `SAVE` does not know that it was done before.
    SaveIsNotKnownAgain,
    /// `LOCK` gives the lease that another has.
    TwoHold,
    /// A holder that never saved leaves no mark.
    NoMark,
    /// A holder spends the refresh token without a look at its clock.
    NoLookAtTheClock,
    /// A holder counts its lease from the answer.
    CountsFromTheAnswer,
    /// What could not be saved is saved again without a look at what is stored.
    SavesBlindly,
}

/// The key in the engine.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Engine {
    /// Number of the refresh token.
    value: u8,
    revision: u64,
    /// Which save wrote it.
    written: (u8, u8),
    holder: Option<u8>,
    until: u64,
    fence: u64,
    doubt: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Call {
    Lock {
        holder: u8,
    },
    Save {
        holder: u8,
        name: (u8, u8),
        replaces: u64,
        revision: u64,
        value: u8,
    },
    Release {
        holder: u8,
    },
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Answer {
    Busy,
    Taken {
        fence: u64,
        revision: u64,
        value: u8,
        doubt: bool,
    },
    Saved,
    Superseded,
    Released,
}

impl Engine {
    fn act(&mut self, call: Call, now: u64, fault: Fault) -> Answer {
        match call {
            Call::Lock { holder } => {
                let mine = self.holder == Some(holder);
                let is_held = self.holder.is_some() && self.until > now;
                if is_held && !mine && fault != Fault::TwoHold {
                    return Answer::Busy;
                }
                if !mine {
                    self.doubt |= self.holder.is_some() && fault != Fault::NoMark;
                    self.fence = (self.fence + 1).max(self.revision + 1);
                }
                (self.holder, self.until) = (Some(holder), now + LEASE);
                Answer::Taken {
                    fence: self.fence,
                    revision: self.revision,
                    value: self.value,
                    doubt: self.doubt,
                }
            }
            Call::Save {
                holder,
                name,
                replaces,
                revision,
                value,
            } => {
                if self.written == name && fault != Fault::SaveIsNotKnownAgain {
                    return Answer::Saved;
                }
                if self.revision != replaces && fault != Fault::SaveDoesNotCompare {
                    return Answer::Superseded;
                }
                (self.value, self.revision, self.written) = (value, revision, name);
                self.doubt = false;
                if self.holder == Some(holder) {
                    self.holder = None;
                }
                Answer::Saved
            }
            Call::Release { holder } => {
                if self.holder == Some(holder) {
                    self.holder = None;
                }
                Answer::Released
            }
        }
    }
}

/// A lease that a process was given.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Given {
    holder: u8,
    counts_from: u64,
    fence: u64,
    revision: u64,
    value: u8,
    doubt: bool,
}

impl Given {
    fn holder(&self) -> Holder {
        Holder::new(
            time(LEASE),
            self.fence,
            self.revision,
            time(self.counts_from),
        )
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Doing {
    Nothing,
    Asks {
        asked: u64,
    },
    /// The engine has acted, and its answer is under way.
    Asked {
        asked: u64,
        answer: Answer,
    },
    Holds(Given),
    Saves {
        given: Given,
        save: Call,
        again: bool,
    },
    Dead,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Process {
    doing: Doing,
    /// Who it is to the engine: another for each lease that it asks for.
    holder: u8,
    /// Number of its saves.
    saves: u8,
    renewals: u8,
    /// The refresh token of the access token that it has, and that has ended.
    known: u8,
    /// What it could not save, and what that was made from.
    unsaved: Option<(u8, u8)>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct World {
    now: u64,
    engine: Engine,
    /// The refresh token that works.
    good: u8,
    processes: Vec<Process>,
    /// Calls that are done later, or once more.
    late: Vec<Call>,
    /// How often the engine, the network or a process may still fail.
    trouble: u8,
    /// Something has failed, or a lease may have ended under its holder.
    is_troubled: bool,
}

/// The wrong that was done.
type Wrong = String;

impl World {
    fn new(trouble: u8) -> Self {
        let process = |number: usize| Process {
            doing: Doing::Nothing,
            holder: 1 + 100 * number as u8,
            saves: 0,
            renewals: 0,
            known: 1,
            unsaved: None,
        };
        Self {
            now: 0,
            engine: Engine {
                value: 1,
                revision: 1,
                written: (0, 0),
                holder: None,
                until: 0,
                fence: 1,
                doubt: false,
            },
            good: 1,
            processes: (0..RENEWALS.len()).map(process).collect(),
            late: Vec::new(),
            trouble,
            is_troubled: false,
        }
    }

    fn act(&mut self, call: Call, fault: Fault) -> Result<Answer, Wrong> {
        let before = self.engine.value;
        let answer = self.engine.act(call, self.now, fault);
        match self.engine.value < before {
            true => Err(format!("{call:?} brings a spent refresh token back")),
            false => Ok(answer),
        }
    }

    /// After one failure of the kinds that are told here.
    fn troubled(&self) -> Option<Self> {
        let mut world = self.clone();
        world.trouble = self.trouble.checked_sub(1)?;
        world.is_troubled = true;
        Some(world)
    }

    /// All that can happen next.
    fn next(&self, fault: Fault) -> Result<Vec<Self>, Wrong> {
        let mut next = Vec::new();
        for number in 0..RENEWALS.len() {
            self.of_process(number, fault, &mut next)?;
        }
        for at in 0..self.late.len() {
            let mut world = self.clone();
            let call = world.late.remove(at);
            world.act(call, fault)?;
            next.push(world);
        }
        if self.now < STEPS {
            let mut world = self.clone();
            world.now += 1;
            let works = |process: &Process| {
                !matches!(
                    process.doing,
                    Doing::Nothing | Doing::Asks { .. } | Doing::Dead
                )
            };
            world.is_troubled |= self.processes.iter().any(works);
            next.push(world);
        }
        Ok(next)
    }

    fn of_process(&self, number: usize, fault: Fault, next: &mut Vec<Self>) -> Result<(), Wrong> {
        let process = &self.processes[number];
        let with = |mut world: Self, doing: Doing| {
            world.processes[number].doing = doing;
            world
        };
        // It dies where it stands.
        if !matches!(process.doing, Doing::Dead | Doing::Nothing)
            && let Some(world) = self.troubled()
        {
            next.push(with(world, Doing::Dead));
        }
        match process.doing {
            Doing::Dead => {}
            Doing::Nothing if process.renewals < RENEWALS[number] => {
                next.push(with(self.clone(), Doing::Asks { asked: self.now }));
            }
            Doing::Nothing => {}
            Doing::Asks { asked } => {
                let call = Call::Lock {
                    holder: process.holder,
                };
                let mut world = self.clone();
                let answer = world.act(call, fault)?;
                next.push(with(world, Doing::Asked { asked, answer }));
                for mut world in self.unclear(call, fault)? {
                    // Another time it asks as another.
                    world.processes[number].holder += 1;
                    next.push(with(world, Doing::Nothing));
                }
            }
            Doing::Asked { asked, answer } => {
                next.push(self.after_lock(number, asked, answer, fault)?);
            }
            Doing::Holds(given) => {
                // It looks at the clock, and at once asks the endpoint.
                let looks = fault != Fault::NoLookAtTheClock;
                if looks && !given.holder().holds(time(self.now)) {
                    let mut world = self.clone();
                    world.processes[number].holder += 1;
                    next.push(with(world, Doing::Nothing));
                } else {
                    next.push(self.spend(number, given)?);
                }
            }
            Doing::Saves { given, save, again } => {
                let mut world = self.clone();
                let answer = world.act(save, fault)?;
                next.push(world.after_save(number, save, answer)?);
                for mut world in self.unclear(save, fault)? {
                    if !again {
                        let doing = Doing::Saves {
                            given,
                            save,
                            again: true,
                        };
                        next.push(with(world, doing));
                        continue;
                    }
                    let Call::Save { value, .. } = save else {
                        unreachable!("a save");
                    };
                    let process = &mut world.processes[number];
                    process.unsaved = Some((given.value, value));
                    process.holder += 1;
                    next.push(with(world, Doing::Nothing));
                }
            }
        }
        Ok(())
    }

    /// The caller is not told what became of its call: it was lost, its answer was lost, it is done later, or now and later.
    fn unclear(&self, call: Call, fault: Fault) -> Result<Vec<Self>, Wrong> {
        let Some(lost) = self.troubled() else {
            return Ok(Vec::new());
        };
        let mut done = lost.clone();
        done.act(call, fault)?;
        let mut late = lost.clone();
        late.late.push(call);
        let mut twice = done.clone();
        twice.late.push(call);
        Ok(vec![lost, done, late, twice])
    }

    fn after_lock(
        &self,
        number: usize,
        asked: u64,
        answer: Answer,
        fault: Fault,
    ) -> Result<Self, Wrong> {
        let mut world = self.clone();
        let process = &mut world.processes[number];
        let Answer::Taken {
            fence,
            revision,
            value,
            doubt,
        } = answer
        else {
            process.doing = Doing::Nothing;
            return Ok(world);
        };
        let counts_from = match fault {
            Fault::CountsFromTheAnswer => self.now,
            _ => asked,
        };
        let given = Given {
            holder: process.holder,
            counts_from,
            fence,
            revision,
            value,
            doubt,
        };
        if let Some((from, unsaved)) = process.unsaved {
            if from == value || fault == Fault::SavesBlindly {
                process.doing = saves(process, given, unsaved);
                return Ok(world);
            }
            // Another has stored another.
            process.unsaved = None;
        }
        let process = &mut world.processes[number];
        if value <= process.known {
            process.doing = Doing::Holds(given);
            return Ok(world);
        }
        // Another has renewed it.
        process.known = value;
        process.renewals += 1;
        process.doing = Doing::Nothing;
        let call = Call::Release {
            holder: process.holder,
        };
        process.holder += 1;
        world.act(call, fault)?;
        Ok(world)
    }

    /// The endpoint is asked, which knows nothing of leases.
    fn spend(&self, number: usize, given: Given) -> Result<Self, Wrong> {
        let mut world = self.clone();
        if given.value == world.good {
            world.good += 1;
            let process = &mut world.processes[number];
            process.doing = saves(process, given, world.good);
            return Ok(world);
        }
        if !given.doubt {
            return Err(format!(
                "process {number} presents a spent token, and nothing told it"
            ));
        }
        if !world.is_troubled {
            return Err(format!(
                "process {number} presents a spent token, and nothing failed"
            ));
        }
        // A person has to log in, which ends the run for it.
        world.processes[number].doing = Doing::Dead;
        Ok(world)
    }

    fn after_save(mut self, number: usize, save: Call, answer: Answer) -> Result<Self, Wrong> {
        let Call::Save { value, .. } = save else {
            unreachable!("a save");
        };
        let stored = self.engine.value;
        match answer {
            Answer::Saved if stored < value => {
                return Err(format!("process {number} was told that {value} is stored"));
            }
            // What is stored is what it has saved. Only where an earlier save was done so late may it be told otherwise: it takes what is stored.
            Answer::Superseded if stored == value && self.processes[number].unsaved.is_none() => {
                return Err(format!(
                    "process {number} was told that {value} is not stored"
                ));
            }
            _ => {}
        }
        let process = &mut self.processes[number];
        (process.known, process.unsaved) = (value.max(stored), None);
        process.renewals += 1;
        process.holder += 1;
        process.doing = Doing::Nothing;
        Ok(self)
    }
}

fn saves(process: &mut Process, given: Given, value: u8) -> Doing {
    process.saves += 1;
    let save = Call::Save {
        holder: given.holder,
        name: (given.holder, process.saves),
        replaces: given.revision,
        revision: given.holder().next_revision(0),
        value,
    };
    Doing::Saves {
        given,
        save,
        again: false,
    }
}

/// Every world that can come about: their number, or the first wrong.
fn search(trouble: u8, fault: Fault) -> Result<usize, Wrong> {
    let mut known = HashSet::new();
    let mut open = vec![World::new(trouble)];
    while let Some(world) = open.pop() {
        for next in world.next(fault)? {
            if known.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    Ok(known.len())
}

#[test]
fn no_order_of_events_brings_a_spent_token_back() {
    // Each failure costs ten times the worlds: two for `just model`.
    let most = std::env::var("MODEL").map_or(1, |most| most.parse().expect("a number"));
    for trouble in 0..=most {
        let worlds = search(trouble, Fault::None).unwrap_or_else(|wrong| panic!("{wrong}"));
        println!("{worlds} worlds with {trouble} failures");
        assert!(worlds > 50, "it searches");
    }
}

#[test]
fn planted_races_are_found() {
    for (fault, trouble, says) in [
        (
            Fault::SaveDoesNotCompare,
            1,
            "brings a spent refresh token back",
        ),
        (Fault::SaveIsNotKnownAgain, 1, "is not stored"),
        (Fault::TwoHold, 0, "nothing failed"),
        (Fault::NoMark, 1, "nothing told it"),
        (Fault::NoLookAtTheClock, 0, "nothing told it"),
        (Fault::CountsFromTheAnswer, 0, "nothing told it"),
        (Fault::SavesBlindly, 3, "brings a spent refresh token back"),
    ] {
        let wrong = search(trouble, fault).expect_err("it is planted");
        println!("{fault:?}: {wrong}");
        assert!(wrong.contains(says), "{fault:?}: {wrong}");
    }
}
