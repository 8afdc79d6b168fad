"""The loop: collect, update, report, save."""

from __future__ import annotations

import time

from rslcore.context import Context
from rslcore.metrics import EpisodeStatistics
from rslcore.protocols import Algorithm, Env, RandomStartEnv
from rslcore.run.session import RunSession
from rslcore.watch import Watch
from rslcore_runners.config import OnPolicyConfig


class OnPolicyRunner:
    """Collects T steps of every env, then lets the algorithm update.

    It serves off-policy algorithms as well: with `num_steps_per_env: 1` and a replay storage of the algorithm's own.

    Args:
        config: The options.
        context: Gives the device.
        env: Stepped.
        algorithm: Acts and learns.
        session: Counts, logs and saves.
    """

    def __init__(
        self, config: OnPolicyConfig, context: Context, env: Env, algorithm: Algorithm, session: RunSession
    ) -> None:
        self.config = config
        self.env = env
        self.algorithm = algorithm
        self.session = session
        self.watch = Watch(context, env, session, config.num_steps_per_env)
        self._obs = self.watch.start(session.first_observations())
        if config.init_at_random_ep_len and not session.goes_on:
            if not isinstance(env, RandomStartEnv):
                raise context.error(
                    "init_at_random_ep_len", f"env '{context.config.env.name}' cannot begin inside of an episode"
                )
            env.randomize_episode_steps()
        self.episodes = EpisodeStatistics(env.spec.num_envs, config.num_steps_per_env, context.device)
        if session.runner_state:
            self.episodes.load_state_dict(session.runner_state["episodes"])
        if session.local_runner_state:
            self.episodes.load_local_state_dict(session.local_runner_state["episodes"])
            self.watch.load_local_state_dict(session.local_runner_state["watch"])

    def learn(self) -> None:
        """Train until all iterations are done or the session is asked to stop; saves at the end of either."""
        session, algorithm = self.session, self.algorithm
        algorithm.train_mode()
        obs = self._obs
        while session.iteration < session.total_iterations:
            algorithm.start_iteration(session.iteration, session.total_iterations)
            started = time.perf_counter()
            with algorithm.rollout_context(), self.watch.rollout():
                for _ in range(self.config.num_steps_per_env):
                    actions = algorithm.act(obs)
                    step = self.watch.look(actions, self.env.step(actions))
                    algorithm.process_env_step(step)
                    self.episodes.record(step)
                    obs = step.obs
            collected = time.perf_counter()
            metrics = algorithm.update(obs)
            updated = time.perf_counter()
            session.finish_iteration(
                {
                    **metrics,
                    **self.episodes.collect(),
                    **self.watch.metrics(),
                    "Perf/collection_time": collected - started,
                    "Perf/learning_time": updated - collected,
                },
                num_steps=self.config.num_steps_per_env * self.env.spec.num_envs,
            )
            if session.is_checkpoint_due(self.config.save_interval):
                session.save_checkpoint(
                    obs,
                    {"episodes": self.episodes.state_dict()},
                    {"episodes": self.episodes.local_state_dict(), "watch": self.watch.local_state_dict()},
                )
            if session.stopping:
                break
