step-stage = Extract { $path } beside its target ({ $size }, { $entries ->
    [one] 1 entry
   *[other] { $entries } entries
})
step-swap = Put the restored { $path } in place, keep the present one
step-swap-new = Put the restored { $path } in place
step-stop = Stop container { $container }
step-start = Start container { $container }
step-health = Wait until container { $container } is healthy
step-create-volume = Create volume { $volume }
step-make-dirs = Make directory { $path }
warn-dir-not-empty = { $path } is no longer empty and stays
warn-container-gone = Container { $container } is no longer there, so it was not started
warn-unhealthy-after-undo = Container { $container } was started again but is not healthy: { $state }
warn-extract = { $warning }
script-title = Reprise: restores from { $archive }
script-secret = Borg asks for the passphrase, or takes it from BORG_PASSPHRASE or BORG_PASSCOMMAND.
script-root = Run it as root, on the host that the plan was made for.
script-needs = Everything needed is there, or nothing begins.
