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
