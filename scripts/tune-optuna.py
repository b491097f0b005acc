#!/usr/bin/env python3
"""Tunes a run's sampler by Optuna's TPE, on the objective of `tweedie tune`.

Usage: python3 -m venv venv && venv/bin/pip install optuna==5.0.0
       venv/bin/python scripts/tune-optuna.py RUN --calls 8 --trials 100 [-- --features pca:16 ...]

Starts `tweedie tune RUN --calls N --points` (with whatever follows `--`), gives it the points that
the tree-structured Parzen estimator (Bergstra et al. 2011) proposes, all measured on the same samples
of noise, and prints the best setting as a JSON line. Its distance is the smallest of many measured
and therefore too small: measure it again on fresh seeds. --evaluations ends by network evaluations
rather than by trials, which is what a comparison of tuners should be by.

Any other optimiser is driven in the same way; see `ask` below. With --stdio the requests go to standard
output and the answers come from standard input, for a program that starts this one.
"""

import argparse
import json
import subprocess
import sys

import optuna


class Objective:
    """`tweedie tune --points`: a JSON line asked, a JSON line answered."""

    def __init__(self, requests, answers):
        self.requests, self.answers = requests, answers

    def ask(self, point, samples, seed):
        request = {"point": point, "samples": samples, "seed": seed}
        try:
            self.requests.write(json.dumps(request) + "\n")
            self.requests.flush()
            line = self.answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            sys.exit("tune-optuna: no answer; see the message above")
        return json.loads(line)


def tune(objective, options):
    """The best answer, none where every point failed, and the evaluations."""
    # A request without coordinates is answered with how many there are, and costs nothing.
    axes = objective.ask([], options.samples, options.seed)["axes"]
    sampler = optuna.samplers.TPESampler(seed=options.seed, multivariate=options.multivariate)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    best, evaluations, dearest = None, 0, 0
    for _ in range(options.trials):
        if options.evaluations and evaluations + dearest > options.evaluations:
            break
        trial = study.ask()
        point = [trial.suggest_float(f"axis {axis}", 0.0, 1.0) for axis in range(axes)]
        answer = objective.ask(point, options.samples, options.seed)
        dearest = max(dearest, answer["evaluations"] - evaluations)
        evaluations = answer["evaluations"]
        if "error" in answer:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        value = answer["distance"]["value"]
        study.tell(trial, value)
        if best is None or value < best["distance"]["value"]:
            best = {**answer, "point": point}
    return best, evaluations


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", help="the run's folder")
    parser.add_argument("--calls", type=int, default=8, help="network calls of a sample")
    parser.add_argument("--trials", type=int, default=100, help="points at most")
    parser.add_argument("--evaluations", type=int, help="network evaluations at most")
    parser.add_argument("--samples", type=int, default=256, help="samples of a point")
    parser.add_argument("--seed", type=int, default=0, help="of TPE and of the samples")
    parser.add_argument("--multivariate", action="store_true", help="TPE's multivariate form")
    parser.add_argument("--tweedie", default="tweedie", help="the program")
    parser.add_argument("--stdio", action="store_true", help="ask on stdout, read from stdin")
    # What follows -- is tweedie's.
    mine, more = sys.argv[1:], []
    if "--" in mine:
        mine, more = mine[: mine.index("--")], mine[mine.index("--") + 1 :]
    options = parser.parse_args(mine)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    if options.stdio:
        tune(Objective(sys.stdout, sys.stdin), options)
        return
    if options.run is None:
        parser.error("name a run's folder")
    command = [options.tweedie, "tune", options.run, "--calls", str(options.calls), "--points"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command + more, **pipes) as server:
        best, evaluations = tune(Objective(server.stdin, server.stdout), options)
        server.stdin.close()
    if best is None:
        sys.exit("tune-optuna: every point failed")
    print(json.dumps({**best, "evaluations": evaluations}))


if __name__ == "__main__":
    main()
