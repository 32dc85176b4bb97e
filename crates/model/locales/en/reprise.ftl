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
step-make-dir = Make directory { $path }
step-back-up = Back up what is there now as the archive { $archive }
step-open-store = Open { $path } for what comes and for what is kept
step-snapshot-btrfs = Take the read-only btrfs snapshot { $name }
step-snapshot-lvm = Take the LVM snapshot { $name } of { $size }
step-snapshot-thin = Take the thin LVM snapshot { $name }
step-snapshot-copy = Copy what is in { $path } ({ $size }) to { $name }
step-mirror-exchange = Put what was restored into { $path }, keep all that is there
step-mirror-exact = Make { $path } what the archive holds, writing only what differs; keep what that replaces
step-mirror-merge = Put into { $path } what is missing or differs, keep what that replaces
step-mirror-exchange-over = Put what was restored into { $path } in place of all that is there
step-mirror-exact-over = Make { $path } what the archive holds, writing over what differs
step-mirror-fill = Empty { $path } and copy what was restored there
warn-dir-not-empty = { $path } is no longer empty and stays
warn-container-gone = Container { $container } is no longer there, so it was not started
warn-does-not-stop = Container { $container } could not be stopped and runs on. Should it end by itself later, start it again
warn-unhealthy-after-undo = Container { $container } was started again but is not healthy: { $state }
warn-extract = { $warning }
warn-back-up = { $warning }
script-title = Reprise: restores from { $archive }
script-secret = Borg asks for the passphrase, or takes it from BORG_PASSPHRASE or BORG_PASSCOMMAND.
script-root = Run it as root, on the host that the plan was made for.
script-needs = Everything needed is there, or nothing begins.
record-unusable = { $path } cannot be used ({ $reason }), so the contents were found by looking at the paths
record-unusable-advice = Look whether `reprise contents` shows what you expect
compose-unreadable = The compose file { $path } cannot be read: { $reason }
compose-unreadable-advice = It comes back as it is: mend it before Compose uses it
recorded-item-missing = The backup recorded { $item }, but the archive holds nothing at { $path }
recorded-item-missing-advice = Look whether the backup leaves it out on purpose
item-covered = { $item } lies inside another chosen item and comes back with it
docker-unreachable = Docker does not answer: { $reason }
docker-unreachable-advice = Start the Docker daemon, or restore to another place with --to
no-space = { $path }: { $needed } are needed on its file system, { $free } are free
no-inodes = { $path }: { $needed } files are needed on its file system, { $free } are free
space-unsure = { $path }: up to { $needed } are needed on its file system, if all of it differs, and { $free } are free
space-unsure-advice = What is written over is kept until the undo window closes. Where that does not fit, the restore ends while its containers stand, and all is undone. Free some space, or choose fewer items
archive-space-unsure = { $path }: up to { $needed } are needed on its file system, if the archive of what is there (--backup-before) has nothing in common with others of its repository, and { $free } are free
archive-space-unsure-advice = Mostly it shares nearly all with the backups before. Where it does not fit, the restore ends while its containers stand, and all is undone. Free some space, or leave --backup-before out
no-space-advice = Free some space, choose fewer items or another place. Nothing was changed
no-space-beside-advice = What is restored, and a copy of what is there, has to fit beside a file system in which others may write. Free some space there, choose fewer items or another place, or mount the file system one directory higher. Nothing was changed
not-a-directory = { $path } is in the way: it is not a directory
not-a-directory-advice = Move it away, or restore to another place with --to
destination-occupied = { $path } exists already
destination-occupied-advice = Choose another directory, or move that one away
mount-point = { $path } is a mount point, and a mount point cannot change places with a restored tree
no-snapshot = { $path } lies on { $what }, of which no snapshot can be taken
no-snapshot-room = { $group } has { $free } free, a snapshot may need { $needed }
store-in-use = { $path } still holds what an earlier restore keeps for its rollback: { $store }
store-in-use-advice = Roll that operation back (`reprise operations rollback`), or wait until its window closes and run `reprise operations expire`
nested-subvolume = A btrfs subvolume of its own lies below { $path }: { $subvolume }. A snapshot does not hold it, and its files cannot move from one subvolume to the other
nested-subvolume-advice = Leave --protect, --merge and --only-changed out where { $path } is no mount point, or restore to another place with --to and copy from there
no-snapshot-space = { $path } has { $free } free; with a snapshot, up to { $needed } may be written before anything is freed
no-snapshot-advice = Leave --protect out: what is replaced is then kept beside it
no-snapshot-shared = { $path } is a file system in which others may write: a btrfs snapshot of it would lie within their reach
protection-swap = { $path }: exchanged in one step; what is there now is kept beside it, and takes as much room as it does now
protection-exchange = { $path }: its names are exchanged; what is there now is kept in it, and takes as much room as it does now
protection-differences = { $path }: what gives way is kept beside, and takes room for as much as differs
protection-lvm = snapshot { $name }, { $size } of its volume group; services write more slowly while it lasts, and it is worth nothing once it is full
protection-thin = thin snapshot { $name }; it takes room of its pool for what changes
protection-archive = archive { $archive } of what is there now, made while containers are stopped: about { $size } to read, and room in the repository for what it does not hold yet
backup-before-no-attributes = Over SSH, the archive of --backup-before holds no extended attributes, access lists or file flags, and times to about a microsecond; a file that cannot be read ends the restore. What is kept there for a rollback is exact
backup-before-no-borg = --backup-before needs `borg` on this machine: { $reason }
backup-before-no-borg-advice = Install borgbackup (1.2 or newer for another host), or leave --backup-before out
protection-btrfs = snapshot { $name }; it takes room for what changes
protection-copy = { $path }: containers are stopped while what is there now ({ $size }) is copied to { $name } and what is restored ({ $comes }) is copied in; both take that room beside it until the window closes. Should the power fail meanwhile, have no container start before `reprise operations resume`
warn-snapshot-full = The snapshot { $name } is full and worth nothing any more: there is no rollback
warn-snapshot-filling = The snapshot { $name } is { $percent } % full; once it is full there is no rollback. `lvextend` gives it more room
mount-shared = { $path } is a mount point in which others may write, containers among them: what is kept there for a rollback would not be safe from them
mount-shared-advice = Mount the file system at { $above } and have { $path } be a directory of it: what is kept lies beside it then. Or restore to another place with --to and copy from there
mount-backdoor = Container { $container } may write by another path to the file system that { $path } lies on: whether to the same files is not known, and they would change under the restore
mount-backdoor-advice = Stop { $container } for the time of the restore and try again. Or restore to another place with --to and copy from there
mount-beside-memory = What lies beside the mount point { $path } is in memory: what is there now could not be kept over a power cut
mount-beside-memory-advice = Mount it below a directory on disk, or restore to another place with --to and copy from there
store-left = { $store } is left as it is
only-changed-shared = { $path } is a file system in which others may write: the whole of it is restored, whatever differs
file-flags = { $path } has a file flag (`lsattr` shows it) with which it cannot be moved, or not be put back as it was
file-flags-advice = Take the flag away with `chattr`, or leave --only-changed, --merge and --protect out
file-flags-copy-advice = Take the flag away with `chattr`, or restore to another place with --to and copy from there
container-sees-kept = Container { $container } may write to a directory that { $path } lies in: what is kept there for a rollback would not be safe from it
container-sees-kept-advice = Leave --only-changed, --merge and --protect out, or have { $container } mount less, or nothing to write to
container-sees-beside-advice = Have { $container } mount less, or nothing to write to, or restore to another place with --to and copy from there
mount-store = { $path } is a mount point: what is restored, and what is kept until the window closes, lies in { $store }
over-what-differs = { $path }: containers stop first, then it is compared with the archive by content, and what differs is written over; the snapshot is the way back
only-what-differs = { $path }: containers stop first, then it is compared with the archive by content, and only what differs is written. A rollback reads the archive again
no-space-for-two = { $path }: there is no room for what comes beside what is there. So containers stop first, then it is compared with the archive by content, and only what differs is written. A rollback reads the archive again
no-space-for-two-advice = Nothing is lost; but containers stand while it is compared. To have it made ready before anything stops, free as much as comes
attributes-unseen = This host has no getfattr and setfattr: extended attributes and access lists that only it has are not seen, and stay; directories that stay get none
attributes-unseen-advice = Install them there (Debian: `apt-get install attr`), or leave --only-changed and --merge out
merge-leaves = { $path }: files that the archive does not hold stay, which a database may not take well
merge-leaves-advice = For the data of a database, restore without --merge
volume-driver = Volume { $volume } has a driver or options of its own, so its data lies where no restored tree can take its place
no-swap-advice = Restore to another place with --to and copy from there
container-uses = Container { $container } uses { $path }: it will be stopped
container-waits = Container { $container } depends on one that will be stopped: it will be stopped, too
container-not-compose = Container { $container } is not managed by Compose: what it depends on is not known, so its place in the order of starting is a guess
container-not-compose-advice = If something has to run before it, start it again afterwards with `docker restart { $container }`
container-above = Container { $container } may write to { $path } through a directory above it, and keeps running
container-above-advice = If it writes there, stop it for the restore
volume-without-project = Volume { $volume } comes back without its project { $project }: old data under the present configuration
volume-without-project-advice = Restore the project, too: add --item project:{ $project }
project-not-running = Project { $project } has no containers here: its files come back, nothing is started
project-not-running-advice = When the restore is done, run `docker compose up -d` in { $path }
newer-data = The archive is { $age } old. What was written since is not in it; it is kept aside until the rollback window closes
adapt-not-text = { $file } is not there as a text, so it was not adapted
adapt-not-text-advice = Look at it when the restore is done
adapt-failed = { $file } cannot be adapted: { $reason }
adapt-failed-advice = Restore with --adapt none and adapt the file by hand
adapt-project-name = { $file }: the restored project is called { $name } like the original. Start it with `docker compose -p OTHER-NAME up -d`, or its containers replace the original’s
adapt-project-name-advice = Start it under another name, or stop the original first
adapt-container-name = { $file }: service { $service } has the fixed container name { $name }; it cannot run beside the original
adapt-container-name-advice = Give it another name in the restored file, or stop the original first
adapt-port = { $file }: service { $service } publishes port { $port }; it cannot run beside the original
adapt-port-advice = Give it another port in the restored file, or stop the original first
adapt-note = { $file }: { $note }
adapt-note-advice = Look at it when the restore is done
archive-checkpoint = This archive is a checkpoint of a backup that did not end: it is not whole
archive-checkpoint-advice = Take one that is whole: `reprise archives` lists them
archive-unauthenticated = The archive was made by an old Borg and carries no authentication of its own; its content is authenticated all the same
operation-unfinished = Operation { $id } was cut off or could not be undone
operation-unfinished-advice = Finish it first: `reprise operations resume { $id }` or `reprise operations rollback { $id }`
blocked = { $count ->
    [one] The restore cannot begin: { $first }
   *[other] The restore cannot begin for { $count } reasons, the first being: { $first }
}
undoing = Undo: { $step }
word-kind = kind
word-name = name
word-size = size
word-entries = entries
word-path = path
word-time = time (utc)
word-files = files
word-compressed = compressed
word-unique = unique
word-deduplicated = deduplicated
word-status = status
word-id = id
word-created = created
word-finished = finished
word-archive = archive
word-reversible = can be undone for
word-none = none
word-kept = kept
word-error = error
word-warning = warning
contents-nothing = Nothing of Docker was found in this archive: no volumes, no Compose projects, no engine configuration.
contents-recorded = As the backup recorded it.
contents-from-paths = Found by looking at the paths.
contents-total = { $entries ->
    [one] 1 entry
   *[other] { $entries } entries
}, { $size } in the whole archive.
archives-none = The repository holds no archive yet.
plan-title = Restore
plan-archive = Archive
plan-host = Host
plan-destination = Destination
plan-in-place = IN PLACE
plan-writes = Will write
plan-stops = Stops containers
plan-duration = Estimated time
plan-downtime = Downtime
plan-undo = Can be undone
plan-undo-window = for { $window } after it ends; what is replaced is kept until then
plan-items = Items
plan-findings = Findings
plan-diff = Changes to compose files
plan-steps = Steps
dry-run-done = Dry run: the steps were rehearsed and nothing was changed.
status-running = running
status-interrupted = interrupted
status-completed = completed
status-rolled-back = rolled back
status-rollback-incomplete = rollback incomplete
step-pending = not done
step-satisfied = nothing to do
step-started = begun
step-done = done
operations-none = No operations are recorded yet.
advice-interrupted = It was cut off. `reprise operations resume { $id }` goes on with it, `reprise operations rollback { $id }` puts back what was there before.
advice-incomplete = Mend what the error names, then run `reprise operations rollback { $id }` again.
resume-forward = Operation { $id } was cut off: it goes on to its end.
resume-backward = Operation { $id } was being undone: that goes on to its end.
rollback-already = Operation { $id } is rolled back already.
rollback-effect = Operation { $id } will be undone. What was written to its places since { $when } will be gone.
expired-count = { $count ->
    [0] Nothing to remove: no rollback window has closed.
    [one] Removed what 1 operation had kept.
   *[other] Removed what { $count } operations had kept.
}
ended-completed = Done: everything is restored in place (operation { $id }).
ended-downtime = Downtime: { $seconds } s.
ended-undo = To undo it, until { $until }: reprise operations rollback { $id }
ended-rolled-back = Rolled back: everything is as it was before operation { $id }.
ended-cancelled = Cancelled: everything is as it was before.
ended-failed = The restore failed, and everything is as it was before. `reprise operations log { $id }` tells what happened.
ended-stuck = The rollback stopped at step { $step }: that step and those before it are still in place. Mend what the error names, then run: reprise operations rollback { $id }
ask-help = ↑↓ to move, Enter to choose, Esc to leave
ask-what = What is to be restored?
ask-full = Everything
ask-volumes = Volumes alone
ask-compose = Compose projects alone
ask-custom = Single items
ask-items = Which items?
ask-items-help = Space to mark, Enter when done
ask-where = Where to?
ask-elsewhere = Another place (recommended): nothing that is there is touched
ask-in-place = In place: what is there is replaced, and kept for a rollback
ask-directory = Directory:
ask-adapt = What about the compose files?
ask-adapt-auto = Adapt them to the restored paths
ask-adapt-new = Adapt them, and keep the originals beside
ask-adapt-none = Leave them as they were
ask-word = restore
ask-type-word = Type “{ $word }” to go on:
ask-go-on = Go on?
event-planned = planned: { $count ->
    [one] 1 step
   *[other] { $count } steps
}
event-begins = begins
event-rolls-back = rolls back, as asked
event-cancelled = cancelled: rolls back
event-turns-round = failed: { $error }. Rolls back
event-satisfied = [{ $number }] nothing to do: { $step }
event-started = [{ $number }] begun: { $step }
event-done = [{ $number }] done: { $step }
event-undone = [{ $number }] undone: { $step }
event-failed = [{ $number }] failed: { $step }: { $error }
event-undo-failed = [{ $number }] cannot be undone: { $step }: { $error }
event-warned = warning: { $warning }
event-cleared = all of that is gone
event-expired = what was kept for a rollback is removed
engine-not-restarted = The Docker daemon reads its configuration only when it starts, and is not restarted by the restore
engine-not-restarted-advice = Restart it afterwards, when the containers may stop for a moment
ended-completed-elsewhere = Done: everything is restored to { $path } (operation { $id }).
plan-undo-window-elsewhere = for { $window } after it ends; what was restored is then removed again
warn-volume-in-use = Volume { $volume } stays, empty: container { $container } was made since and refers to it
word-items = items
repository-older = The repository is in an older state than when it was last read: it was written to at { $then } then, and at { $now } now. Newer archives are missing from it
nothing-matches = Nothing in the archive matches { $pattern }
more-like-these = … and { $count } more like these
extract-done = { $count ->
    [one] 1 item
   *[other] { $count } items
}, { $size }, extracted to { $path }
extract-compared = { $count ->
    [one] 1 item
   *[other] { $count } items
} compared, { $size } would come from the archive; nothing was written
extract-unchanged = { $count ->
    [one] 1 of them was right already
   *[other] { $count } of them were right already
}
extract-rehearsed = { $count ->
    [one] 1 item
   *[other] { $count } items
}, { $size }, read and verified; nothing was written
export-done = { $count ->
    [one] 1 item
   *[other] { $count } items
}, { $size }, written to the tar stream
verify-sound = Sound: everything is as it was written ({ $size }, { $objects } objects). Whole archives: { $whole } of { $archives }.
verify-damaged = DAMAGED. Whole archives: { $whole } of { $archives }; sound objects: { $objects }; read: { $size }. Copy the repository, then run `borg check --repair` on the copy.
verify-archive-sound = Sound: all { $count } items of { $archive }, { $size }, are as they were backed up.
verify-archive-damaged = DAMAGED: of { $archive }, { $count } items are as they were backed up; { $size } could be read.
verify-unfinished = { $count ->
    [one] 1 segment
   *[other] { $count } segments
} after the last transaction, not read: remains of a backup that did not end
word-whole = whole
word-lost = lost
word-encryption = encryption
word-modified = modified
word-authenticated = authenticated
word-archives = archives
word-yes = yes
word-no = no
word-host = host
word-user = user
word-begun = begun
word-ended = ended
word-command = command
word-comment = comment
script-once = What an earlier run has left is not touched: rename or remove it first.
foreign-link = The way to { $path } leads through the symbolic link { $link }, which belongs to neither root nor you
foreign-link-advice = Whoever owns that link would decide where the restore goes. Replace it, or restore to another place with --to
targets-overlap = { $one } and { $other } would be put over each other
targets-overlap-advice = Choose only one of the two with --item
reserved-state = { $target } holds, or lies in, the state directory { $path }
reserved-repository = { $target } holds, or lies in, the repository { $path }
reserved-engine = { $target } holds Docker’s own directory { $path }
reserved-advice = A restore must not move what it needs itself. Restore single items with --item, or to another place with --to
container-down = Container { $container } uses what is restored and does not run: it stays stopped
container-down-advice = When the restore is done, start it with `docker start { $container }`
container-paused = Container { $container } is paused, and will run after the restore
container-paused-advice = Pause it again afterwards with `docker pause { $container }`
bind-missing = Container { $container } mounts { $path }, which the archive does not hold: it will be missing; what is there now is kept aside
bind-missing-advice = If it needs that, copy it back from what is kept when the restore is done
bind-left = Container { $container } mounts { $path }, which the archive holds but is no volume, project or config: it stays as it is
bind-left-advice = If that should come back, too, get it with `reprise extract`
docker-elsewhere = Docker is asked at { $endpoint }, which is another machine, but files are restored on this one
docker-elsewhere-advice = Run this on that machine, or unset DOCKER_HOST and choose the local Docker context
volume-twice = The archive holds a second directory for volume { $volume } at { $path }: it is left out
volume-twice-advice = If that one is wanted, get it with `reprise extract`
directory-not-archived = The archive holds files below { $path }, but not that directory itself: it cannot be restored as a whole
directory-not-archived-advice = Get the files below it with `reprise extract`
plan-space = Disk space
plan-space-up-to = up to { $needed } needed, if all of it differs; { $free } free (file system of { $path })
plan-space-of = { $needed } needed, { $free } free (file system of { $path })
plan-protection = Protection
plan-protection-swap = restored beside, verified, exchanged in one step; what is there now is kept
plan-protection-elsewhere = nothing that exists is touched
operation-unreadable = An earlier operation cannot be read: { $error }
operation-unreadable-advice = It may have left containers stopped or trees exchanged. Look for paths with `{ $id }` in their names, set them right, then move its journal away
cancelling = Stopping safely: nothing is left half-way. Please wait.
stopping = Stopping.
ended-kept = What was there before is kept and takes space until { $until }; after that, `reprise operations expire` removes it.
ended-rolled-back-but = Operation { $id } is rolled back, but not everything is as it was: see the warnings above.
ended-cancelled-but = Cancelled and rolled back, but not everything is as it was: see the warnings above. `reprise operations show { $id }` repeats them.
ended-failed-but = The restore failed and was rolled back, but not everything is as it was: see the warnings above. `reprise operations log { $id }` tells what happened.
word-target = target
log-readable = These are the lines of it that can still be read; what is missing between them is unknown.
ask-archive = Which archive?
archive-size = { $files ->
    [one] 1 file
   *[other] { $files } files
}, { $size }
output-lost = Not everything could be written to standard output.
inventory-summary = Found { $volumes ->
    [one] 1 volume
   *[other] { $volumes } volumes
}, { $projects ->
    [one] 1 Compose project
   *[other] { $projects } Compose projects
}, { $containers ->
    [one] 1 container
   *[other] { $containers } containers
}, { $networks ->
    [one] 1 network
   *[other] { $networks } networks
}.
inventory-left-out-driver = { $item } is left out: its driver or options say where its data is, so back it up there
inventory-left-out-missing = { $item } is left out: its directory is not there
inventory-left-out-name = { $item } is left out: its name or path cannot be restored
word-server-does-not-tell = the server does not tell
verify-remote = It is on a server: what archives use was read from it and verified. Its segment files and its index are for `borg check` there.
word-address = address
word-host-key = host key
hosts-none = There are no hosts yet; `reprise host add NAME ADDRESS` adds one.
host-key-none = none pinned
host-declared-in = declared in
host-identity = logs in with
host-identity-any = what ssh finds
host-install-key = Let this key in, as a line of ~{ $user }/.ssh/authorized_keys on { $name }:
host-sudoers = { $user } is not root, so the host’s sudoers needs this line: { $user } ALL=(root) NOPASSWD: /bin/sh, /usr/bin/sh
host-added = Added { $name }. Its host key is pinned.
host-check-next = Then: reprise host check { $name }
host-shows-key = { $address } shows a key of kind { $kind }: { $fingerprint }
host-compare-key = Compare it with what the host itself says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub (or of the kind above).
host-trust-key = Is this its key?
host-remove-question = Forget { $name }, its pinned key and the key pair made for it?
host-removed = Forgot { $name }.
host-unpinned = Forgot the keys of { $name }; { $file } still declares it.
host-check-login = The login works: it calls itself { $hostname } ({ $milliseconds } ms).
host-check-root = It leads to root.
host-check-sudo = sudo works without a password.
host-check-tools = All programs that are needed are there.
host-check-missing = Programs are missing there: { $tools }
host-check-exchange = Two trees change places in one step (by { $way }).
host-check-no-exchange = Two trees change places in two steps: perl or python3 there would make it one.
host-check-no-attributes = getfattr and setfattr are missing there: --only-changed and --merge then see no extended attributes and access lists. Debian has them in `attr`.
host-check-docker = Docker { $version } answers; { $free } are free in { $root }.
script-elsewhere = This script is for { $host }, which must reach the repository as { $repository } to run it.
mount-done = { $what } is mounted on { $dir }; `reprise umount` takes it away
mount-busy = It is still in use: it is out of sight, and ends when nobody uses it any more, in 10 seconds at the latest.
mount-log = What cannot be read of it will be told in { $file }
mount-lost-bytes = { $path } in { $archive }: bytes { $from } to { $to } cannot be read: { $reason }
mount-lost-file = { $path } in { $archive } cannot be read: { $reason }
mount-lost-archive = { $archive }: { $reason }
mount-lost-others = { $count ->
    [one] One more that cannot be read was not told: there were too many at a time
   *[other] { $count } more that cannot be read were not told: there were too many at a time
}
umount-done = { $dir } is unmounted
step-create-network = Create network { $network }
step-create-container = Make container { $container } as it was recorded, from image { $image }
step-set-aside = Set container { $container } aside, kept as { $kept }
step-compose-create = Have Compose make the missing containers of project { $project } in { $path }
warn-network-readdressed = Network { $network } has other addresses than it had: another network took those meanwhile
warn-network-in-use = Network { $network } stays: a container that came since is in it
warn-container-replaced = Container { $container } was made anew by someone since and stays
warn-container-written = Container { $container } is back with what it had written itself, from an image that holds it; Compose will make it anew when it is asked to
project-lost = Project { $project } has no containers here: Compose makes them from the restored files ({ $containers })
project-lacks = Project { $project } lacks containers: Compose makes them from the restored files ({ $containers })
project-changed = The files that say how the containers of { $project } are made differ from those here ({ $files }): containers that were made otherwise are set aside and made anew
project-changed-advice = To have the containers stay as they are, restore with --no-recreate
project-older = The containers of { $project } are older than the files they were made of: those that were made otherwise are set aside and made anew
project-older-advice = To have the containers stay as they are, restore with --no-recreate
project-stays = The restored files of { $project } differ from what its containers were made of, and they stay as they are
project-elsewhere = Containers of a project { $project } are there, made from { $path }: they stay as they are, and none are made of the restored files
project-elsewhere-advice = To have both, run `docker compose -p OTHER-NAME up -d` in the restored directory
project-unreadable = How the containers of { $project } are made cannot be read from its files: they stay as they are
compose-missing = Compose is not installed there, so the containers of { $project } are not made
compose-missing-advice = Install Compose there first
container-lost = Container { $container } is not there any more: it is made as it was recorded
container-not-made = Container { $container } is not there any more, and is not made
container-not-made-advice = To have it made, restore without --no-recreate
container-shares = Container { $container } shares the network of container { $other }: it is not made
container-network = Container { $container } was in network { $network }, of which nothing is known: it is not made
container-by-hand-advice = Make it by hand when the restore is done
variables-unknown = The files of project { $project } use variables that are not known here ({ $variables }): containers made now would have nothing in their place, so none are made
variables-unknown-advice = When the restore is done, run `docker compose up -d` with these variables in its environment
name-taken = Container { $container } is there and is not of project { $project }, so nothing is made of that project
name-taken-advice = Give that container another name first: `docker rename { $container } OTHER-NAME`
volume-anonymous = Container { $container } keeps data in a volume without a name, which a new one would not have, so project { $project } is not made anew
volume-anonymous-advice = When the restore is done, copy that data if it is needed, then run `docker compose up -d`
container-joined = Container { $other } shares a namespace of { $container } and would lose it, so project { $project } is not made anew
container-joined-advice = When the restore is done, run `docker compose up -d`, then make { $other } anew
container-passing = Container { $container } must be stopped, and Docker removes it then (it was started with --rm)
container-passing-advice = If it may go, stop it with `docker stop { $container }` and plan again
container-powers = Container { $container } is made as it was recorded, with rights over this host: { $powers }
container-powers-advice = If it should not have them, restore with --no-recreate and make it by hand
volume-secret = Volume { $volume } is not made: its options hold a secret, which has no place in a plan
volume-secret-advice = Compose makes it by itself, or make it with `docker volume create`
network-missing = Project { $project } expects a network { $name } that is not there and that Compose does not make, so its containers are not made
network-missing-advice = Make it first with `docker network create { $name }`, or run `docker compose up -d` in { $path } afterwards
volume-missing = Project { $project } expects a volume { $name } that is not there, is not restored, and that Compose does not make, so its containers are not made
volume-missing-advice = Restore it, too, or make it first with `docker volume create { $name }`
image-missing = Image { $image } is not there, so what { $user } runs is not made
image-pull-advice = Get it first with `docker pull { $image }`, or let Compose do it with --pull
image-build-advice = When the restore is done, run `docker compose up -d --build` in { $path }
image-changed = Container { $container } is made from image { $image }, which is another one than it was
image-changed-advice = If it has to be the one it was, get that one by its digest with `docker pull` and give it this name with `docker tag` first
archive-passed-checkpoint = Archive { $archive } is passed over: it is a checkpoint of a backup that did not end
archive-passed-checkpoint-advice = Look why that backup did not end
archive-passed-unreadable = Archive { $archive } is passed over: it cannot be read ({ $reason })
archive-passed-unreadable-advice = `reprise verify` tells how far the damage goes
archive-passed-damaged = Archive { $archive } is passed over: content of { $count ->
    [one] 1 file
   *[other] { $count } files
} in it is lost
archive-passed-damaged-advice = `reprise verify` tells how far the damage goes
warn-unhealthy-kept = Container { $container } is not well, and was kept all the same: { $state }
container-unhealthy = Container { $container } is not healthy now: after the restore it is only told when it is not
container-unhealthy-advice = `docker inspect` shows what its health check says
data-newer = What is at { $path } was changed { $after } after the archive was made. It is kept aside until the rollback window closes
data-newer-advice = To keep what was written since, copy it from there before the window closes
engine-other = The data of { $item } are of PostgreSQL { $data }, and container { $container } runs PostgreSQL { $engine }, which cannot read them
engine-older = The data of { $item } are of MariaDB { $data }, and container { $container } runs MariaDB { $engine }, which is older
engine-newer = The data of { $item } are of MariaDB { $data }, and container { $container } runs MariaDB { $engine }
engine-other-advice = Restore the project’s compose file as well, or set the image to the version of the data
engine-newer-advice = When the restore is done, run `mariadb-upgrade` in it
network-readdressed = Network { $network } is made with other addresses than it had: network { $holder } has them now
network-overlaps = Network { $network } cannot be made: containers in it have fixed addresses, which network { $holder } has now
network-overlaps-advice = Remove or renumber { $holder }, or leave containers and networks as they are with --no-recreate
network-changed = Network { $network } has other options than when the backup was made, and stays as it is
network-changed-advice = To have it as it was, remove it with `docker network rm { $network }` before the restore
volume-changed = Volume { $volume } has another driver or other options than when the backup was made, and keeps them
volume-changed-advice = If that matters, restore to another place with --to, make a volume as you want it and copy the data there
port-taken = Container { $container } needs port { $port }, which container { $holder } has
port-listening = Container { $container } needs port { $port }, on which another program listens
port-taken-advice = Stop that first (`ss -lntup` tells who listens), or leave containers as they are with --no-recreate
