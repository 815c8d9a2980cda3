"""What several recipes share.

``base`` says what a recipe is; ``lab``, ``losses``, ``schedules`` and ``aging`` are parts of many;
``paired``, ``coco_cgan`` and ``cli_gan`` are what recipes of one published system have in common.
"""
