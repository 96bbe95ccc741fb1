"""What a script can say: every method is a command, and its docstring is how it is written."""

from __future__ import annotations

from raftsql.raft import messages
from raftsql.raft.membership import ChangeRefused
from raftsql.raft.ready import Refused
from tests.raft import printing
from tests.raft.harness import Cluster, voters
from tests.raft.replica import Replica
from tests.raft.spelling import Options, change, ids, made_message, pattern


class Verbs:
    """The commands of a script, on one cluster. A command's answer is the lines it returns."""

    def __init__(self) -> None:
        """Start without any node."""
        self.cluster = Cluster()
        self.probes = False
        self.founded = False

    def run(self, line: str) -> list[str]:
        """Carry out one command: what happened, and what it answers."""
        words = line.split()
        name, plain = words[0], [word for word in words[1:] if "=" not in word]
        options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        command = getattr(self, f"do_{name}", None)
        assert command is not None, f"no command is called {name}"
        try:
            answer = command(plain, options)
        except Refused as refused:
            answer = [f"refused: {refused}; leader={refused.leader}"]
        except ChangeRefused as refused:
            answer = [f"refused: {refused}"]
        events = _shortened(self.cluster.events)
        self.cluster.events.clear()
        return [*events, *(answer or [])]

    # Making nodes.

    def do_config(self, words: list[str], options: Options) -> None:
        """config SETTING=NUMBER… : settings of the nodes started from now on"""
        self.cluster.settings.update({name: int(value) for name, value in options.items()})

    def do_members(self, words: list[str], options: Options) -> None:
        """members voters=1,2,3 [learners=4,5] [priority=2:1,3:5] : who founds the cluster

        Learners named here stay learners until they are promoted by hand.
        """
        pairs = [pair.split(":") for pair in options.get("priority", "").split(",") if pair]
        priority = {f"n{node}": int(value) for node, value in pairs}
        self.cluster.founding = voters(
            *ids(options["voters"]), learners=ids(options.get("learners", "")), **priority
        )
        self.founded = True

    def do_node(self, words: list[str], options: Options) -> None:
        """node N… [log=1,1,2] [term=T] [vote=N] [base=I] [applied=I] : start nodes with this log

        `log` is the term of each entry from index 1 on, of which the first says who founds the
        cluster: what `members` said, or else the nodes of the first `node` command.
        """
        nodes = [int(word) for word in words]
        if not self.founded:
            self.cluster.founding, self.founded = voters(*nodes), True
        applied = options.get("applied")
        for node in nodes:
            self.cluster.start(
                node,
                log=ids(options.get("log", "1")),
                term=int(options["term"]) if "term" in options else None,
                vote=int(options.get("vote", 0)),
                base=int(options.get("base", 0)),
                applied=None if applied is None else int(applied),
            )

    def do_join(self, words: list[str], options: Options) -> None:
        """join N… : start nodes that know nothing yet"""
        for word in words:
            self.cluster.start(int(word), log=())

    def do_chance(self, words: list[str], options: Options) -> None:
        """chance N NUMBER : what node N draws from now on (else 50 times its number)"""
        self.cluster.chances[int(words[0])] = int(words[1])

    # Time.

    def do_advance(self, words: list[str], options: Options) -> None:
        """advance MS [asleep=N,…] : clocks go on, nodes wake when due, messages wait"""
        self.cluster.advance(int(words[0]), asleep=ids(options.get("asleep", "")))

    def do_run(self, words: list[str], options: Options) -> None:
        """run MS [asleep=N,…] : clocks go on, nodes wake when due, messages arrive at once"""
        asleep = ids(options.get("asleep", ""))
        self.cluster.advance(int(words[0]), settle=True, asleep=asleep)

    def do_tick(self, words: list[str], options: Options) -> None:
        """tick N MS : the clock of node N alone goes on, and the node looks at it once"""
        self.cluster.tick(int(words[0]), int(words[1]))

    def do_campaign(self, words: list[str], options: Options) -> None:
        """campaign N : time passes until node N campaigns, and no other node notices"""
        self.cluster.campaign(int(words[0]))

    def do_elect(self, words: list[str], options: Options) -> list[str]:
        """elect N : node N campaigns, wins, commits its first entry, and everybody knows"""
        node = int(words[0])
        self.cluster.elect(node)
        self.cluster.events.clear()
        return [f"n{node} leads term {self.cluster[node].term}"]

    # Messages.

    def do_message(self, words: list[str], options: Options) -> list[str]:
        """message A B KIND [term=T] [field=value]… [flag]… [cluster=C] : a message made by hand

        It arrives at B at once; the answer is what B sends. Fields are named as `wire` shows them.
        """
        source, target, kind, *flags = words
        held = self.cluster.wire.flying
        self.cluster.wire.flying = []
        made = made_message(kind, options, flags)
        cluster = int(options.get("cluster", 7))
        self.cluster.message(int(source), int(target), made, cluster)
        sent = self.cluster.wire.flying
        self.cluster.wire.flying = held + sent
        return [printing.envelope(it, probes=self.probes) for it in sent]

    def do_deliver(self, words: list[str], options: Options) -> list[str]:
        """deliver [from=N,…] [to=N,…] [kind=K,…] [count=N] : what is under way arrives, once"""
        count = int(options["count"]) if "count" in options else None
        return self._shown(self.cluster.deliver(pattern(options), count))

    def do_settle(self, words: list[str], options: Options) -> None:
        """settle : deliver until nothing is under way any more"""
        self.cluster.settle()

    def do_drop(self, words: list[str], options: Options) -> list[str]:
        """drop [from=N,…] [to=N,…] [kind=K,…] [count=N] : what is under way is lost"""
        count = int(options["count"]) if "count" in options else None
        return self._shown(self.cluster.wire.take(pattern(options), count))

    def do_hold(self, words: list[str], options: Options) -> None:
        """hold [from=N,…] [to=N,…] [kind=K,…] : such messages wait, also those sent later"""
        self.cluster.wire.hold(pattern(options))

    def do_release(self, words: list[str], options: Options) -> None:
        """release [reverse] : what was held is under way again, in the opposite order if wanted"""
        self.cluster.wire.release(reverse="reverse" in words)

    def do_duplicate(self, words: list[str], options: Options) -> None:
        """duplicate [from=N,…] [to=N,…] [kind=K,…] : what is under way will arrive twice"""
        flying = self.cluster.wire.flying
        flying += [it for it in flying if pattern(options).picks(it)]

    def do_reorder(self, words: list[str], options: Options) -> None:
        """reorder [from=N,…] [to=N,…] [kind=K,…] : such messages arrive last, newest first"""
        taken = self.cluster.wire.take(pattern(options))
        self.cluster.wire.flying += reversed(taken)

    def do_cut(self, words: list[str], options: Options) -> None:
        """cut A B [both] : nothing passes from A to B any more, with `both` nor back

        `-` in the place of A or B stands for everybody else.
        """
        everybody = sorted(self.cluster.replicas)
        sources = everybody if words[0] == "-" else ids(words[0])
        targets = everybody if words[1] == "-" else ids(words[1])
        for a in sources:
            for b in targets:
                if a != b:
                    self.cluster.wire.cut(a, b)
                    if "both" in words:
                        self.cluster.wire.cut(b, a)

    def do_heal(self, words: list[str], options: Options) -> None:
        """heal : every way is open again"""
        self.cluster.wire.heal()

    # Calls.

    def do_propose(self, words: list[str], options: Options) -> None:
        """propose N [TEXT…] [count=N] [bytes=N] : commands for the log, in one call"""
        texts = words[1:] or ["x" * int(options.get("bytes", 1))] * int(options.get("count", 1))
        self.cluster.propose(int(words[0]), *texts)

    def do_change(self, words: list[str], options: Options) -> None:
        """change N KIND M [identity=…] [address=…] [priority=P] [manual] : change the membership

        Node N is asked to `add`, `promote`, `demote`, `remove` or `update` M. A learner that was
        added with `manual` is not promoted by itself.
        """
        wanted = change(words[1], int(words[2]), options, manual="manual" in words)
        self.cluster.do(int(words[0]), lambda node: node.change(wanted))

    def do_transfer(self, words: list[str], options: Options) -> None:
        """transfer N M : leader N hands over to M"""
        self.cluster.do(int(words[0]), lambda node: node.transfer(int(words[1])))

    def do_read(self, words: list[str], options: Options) -> None:
        """read N NUMBER [lease] : a client's read at node N, named by a number"""
        self.cluster.read(int(words[0]), int(words[1]), lease="lease" in words)

    def do_unreachable(self, words: list[str], options: Options) -> None:
        """unreachable N M : node N is told that what it sent to M may be lost"""
        self.cluster.do(int(words[0]), lambda node: node.unreachable(int(words[1])))

    def do_ended(self, words: list[str], options: Options) -> None:
        """ended N M : node N is told that the process of M has ended"""
        replica = self.cluster.replicas[int(words[0])]
        self.cluster.do(replica.id, lambda it: it.process_ended(int(words[1]), replica.now))

    # Snapshots.

    def do_compact(self, words: list[str], options: Options) -> None:
        """compact N INDEX : node N drops its log up to and with INDEX"""
        self.cluster.compact(int(words[0]), int(words[1]))

    def do_ship(self, words: list[str], options: Options) -> None:
        """ship A B [fail] [part] [done] : leader A's state is on its way to B as InstallSnapshot

        With `fail`, `part` or `done` nothing is sent: A is told that the shipping failed, that a
        part of it arrived, or that all of it did.
        """
        source, target = int(words[0]), int(words[1])
        now = self.cluster.replicas[source].now
        if "fail" in words:
            self.cluster.do(source, lambda node: node.snapshot_failed(target))
        elif "part" in words:
            self.cluster.do(source, lambda node: node.snapshot_progressed(target, now))
        elif "done" in words:
            self.cluster.do(source, lambda node: node.snapshot_shipped(target))
        else:
            self.cluster.ship(source, target)

    def do_installing(self, words: list[str], options: Options) -> None:
        """installing N held|done|failed : installs wait at node N, or the one that waits ends so"""
        replica = self.cluster.replicas[int(words[0])]
        match words[1]:
            case "held":
                replica.installing_held = True
            case "done":
                replica.installing_held = False
                self.cluster.do(replica.id, replica.install)
            case "failed":
                replica.installing_held, replica.to_install = False, None
                self.cluster.do(replica.id, lambda node: node.install_failed())
            case other:
                raise AssertionError(f"an install is held, done or failed, not {other}")

    # Disks, applying, crashes.

    def do_disk(self, words: list[str], options: Options) -> None:
        """disk N held|free|one : writes wait, or all that wait (or the oldest) become durable"""
        node = int(words[0])
        match words[1]:
            case "held":
                self.cluster.hold_disk(node)
            case "free":
                self.cluster.free_disk(node)
            case "one":
                self.cluster.sync(node)
            case other:
                raise AssertionError(f"a disk is held, free or does one write, not {other}")

    def do_applying(self, words: list[str], options: Options) -> None:
        """applying N held|free : what is committed waits to be applied, or all of it is"""
        replica = self.cluster.replicas[int(words[0])]
        replica.applying_held = words[1] == "held"
        if not replica.applying_held:
            self.cluster.do(replica.id, replica.apply_all)

    def do_crash(self, words: list[str], options: Options) -> None:
        """crash N… : processes end, and what was not durable is lost"""
        for word in words:
            self.cluster.crash(int(word))

    def do_restart(self, words: list[str], options: Options) -> None:
        """restart N… [applied=I] : start from what is durable, the state machine lagging if said"""
        applied = options.get("applied")
        for word in words:
            self.cluster.restart(int(word), applied=None if applied is None else int(applied))

    # Looking.

    def do_status(self, words: list[str], options: Options) -> list[str]:
        """status [N…] : role, term, vote, leader, commit, applied, and the log as index@term"""
        return [line for it in self._chosen(words) for line in printing.status(it)]

    def do_progress(self, words: list[str], options: Options) -> list[str]:
        """progress N : how far each peer is, as leader N sees it"""
        return list(printing.progress(self.cluster.replicas[int(words[0])]))

    def do_membership(self, words: list[str], options: Options) -> list[str]:
        """membership [N…] : who belongs to the cluster, as the logs of these nodes say"""
        return [printing.members(it) for it in self._chosen(words)]

    def do_lease(self, words: list[str], options: Options) -> list[str]:
        """lease N : whether node N holds a lease by its own clock"""
        replica = self.cluster.replicas[int(words[0])]
        replica.running.now = replica.now
        return ["valid" if replica.status.lease_valid else "none"]

    def do_wire(self, words: list[str], options: Options) -> list[str]:
        """wire [probes] [from=N,…] [to=N,…] [kind=K,…] : what is under way; `probes` shows numbers

        Once asked for, probe numbers are shown for the rest of the script.
        """
        self.probes = self.probes or "probes" in words
        chosen = pattern(options)
        return self._shown([it for it in self.cluster.wire.flying if chosen.picks(it)]) or ["-"]

    def do_equal(self, words: list[str], options: Options) -> list[str]:
        """equal [N…] : whether the logs and the state machines of these nodes are equal"""
        chosen = self._chosen(words)
        logs = {printing.shown_log(it.running.log) for it in chosen}
        machines = {repr(it.machine.entries) for it in chosen}
        return [f"logs {_same(logs)}, states {_same(machines)}"]

    def _chosen(self, words: list[str]) -> list[Replica]:
        everybody = sorted(self.cluster.replicas)
        return [self.cluster.replicas[n] for n in map(int, words or everybody)]

    def _shown(self, envelopes: list[messages.Envelope]) -> list[str]:
        return [printing.envelope(it, probes=self.probes) for it in envelopes]


def _same(values: set[str]) -> str:
    return "equal" if len(values) == 1 else "differ"


def _shortened(events: list[str]) -> list[str]:
    """Of a node's commits within one command only the last says something."""
    last = {event.split()[0]: place for place, event in enumerate(events) if " commits " in event}
    return [e for at, e in enumerate(events) if " commits " not in e or last[e.split()[0]] == at]
