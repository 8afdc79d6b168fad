"""A lab's package of tasks, which mjlab finds by its entry point: the cartpole, trained by runners over rslcore."""

from mjlab.tasks.cartpole.cartpole_env_cfg import cartpole_balance_env_cfg, cartpole_ppo_runner_cfg
from mjlab.tasks.registry import register_mjlab_task

from cart_lab.runners import LabRunner, rebased_runner

for task_id, runner_cls in {"Lab-Cartpole": LabRunner, "Lab-Cartpole-Rebased": rebased_runner()}.items():
    register_mjlab_task(
        task_id=task_id,
        env_cfg=cartpole_balance_env_cfg(),
        play_env_cfg=cartpole_balance_env_cfg(play=True),
        rl_cfg=cartpole_ppo_runner_cfg(),
        runner_cls=runner_cls,
    )
