step-stage = Extraire { $path } à côté de sa destination ({ $size }, { $entries ->
    [one] 1 entrée
   *[other] { $entries } entrées
})
step-swap = Mettre en place { $path } restauré, garder l’actuel
step-swap-new = Mettre en place { $path } restauré
step-stop = Arrêter le conteneur { $container }
step-start = Démarrer le conteneur { $container }
step-health = Attendre que le conteneur { $container } soit en bonne santé
step-create-volume = Créer le volume { $volume }
step-make-dir = Créer le répertoire { $path }
step-back-up = Sauvegarder l’existant dans l’archive { $archive }
step-open-store = Ouvrir { $path } pour ce qui arrive et ce qui est gardé
step-snapshot-btrfs = Prendre l’instantané btrfs { $name } en lecture seule
step-snapshot-lvm = Prendre l’instantané LVM { $name } de { $size }
step-snapshot-thin = Prendre l’instantané LVM fin { $name }
step-snapshot-copy = Copier le contenu de { $path } ({ $size }) dans { $name }
step-mirror-exchange = Placer dans { $path } ce qui est restauré, garder tout ce qui s’y trouve
step-mirror-exact = Rendre { $path } conforme à l’archive en n’écrivant que ce qui diffère ; garder ce qui est remplacé
step-mirror-merge = Ajouter dans { $path } ce qui manque ou diffère, garder ce qui est remplacé
step-mirror-exchange-over = Placer dans { $path } ce qui est restauré, à la place de tout ce qui s’y trouve
step-mirror-exact-over = Rendre { $path } conforme à l’archive en écrasant ce qui diffère
step-mirror-fill = Vider { $path } et y copier ce qui est restauré
warn-dir-not-empty = { $path } n’est plus vide et reste
warn-container-gone = Le conteneur { $container } n’existe plus, il n’a donc pas été démarré
warn-does-not-stop = Le conteneur { $container } n’a pas pu être arrêté et continue de fonctionner. S’il s’arrête de lui-même par la suite, redémarrez-le
warn-unhealthy-after-undo = Le conteneur { $container } a été redémarré mais n’est pas en bonne santé : { $state }
warn-extract = { $warning }
warn-back-up = { $warning }
script-title = Reprise : restauration depuis { $archive }
script-secret = Borg demande la phrase de passe, ou la prend dans BORG_PASSPHRASE ou BORG_PASSCOMMAND.
script-root = À lancer en root, sur la machine pour laquelle le plan a été fait.
script-needs = Tout ce qu’il faut est là, sinon rien ne commence.
record-unusable = { $path } est inutilisable ({ $reason }) ; le contenu a été déduit des chemins
record-unusable-advice = Vérifiez que `reprise contents` montre ce que vous attendez
compose-unreadable = Le fichier compose { $path } est illisible : { $reason }
compose-unreadable-advice = Il revient tel quel : corrigez-le avant que Compose ne l’utilise
recorded-item-missing = La sauvegarde annonce { $item }, mais l’archive ne contient rien sous { $path }
recorded-item-missing-advice = Vérifiez si la sauvegarde l’exclut volontairement
item-covered = { $item } se trouve dans un autre élément choisi et revient avec lui
docker-unreachable = Docker ne répond pas : { $reason }
docker-unreachable-advice = Démarrez le démon Docker, ou restaurez ailleurs avec --to
no-space = { $path } : il faut { $needed } sur ce système de fichiers, { $free } sont libres
no-inodes = { $path } : il faut { $needed } fichiers sur ce système de fichiers, { $free } sont libres
space-unsure = { $path } : il faut jusqu’à { $needed } sur ce système de fichiers, si tout diffère, et { $free } sont libres
space-unsure-advice = Ce qui est remplacé est conservé jusqu’à la fin du délai d’annulation. Si la place manque, la restauration s’arrête alors que ses conteneurs sont arrêtés, et tout est annulé. Libérez de l’espace, ou choisissez moins d’éléments
archive-space-unsure = { $path } : il faut jusqu’à { $needed } sur ce système de fichiers, si l’archive de ce qui est en place (--backup-before) n’a rien en commun avec les autres de son dépôt, et { $free } sont libres
archive-space-unsure-advice = Le plus souvent elle partage presque tout avec les sauvegardes précédentes. Si la place manque, la restauration s’arrête alors que ses conteneurs sont arrêtés, et tout est annulé. Libérez de l’espace, ou ne demandez pas --backup-before
no-space-advice = Libérez de l’espace, choisissez moins d’éléments ou un autre emplacement. Rien n’a été modifié
no-space-beside-advice = Ce qui est restauré et une copie de l’existant doivent tenir à côté d’un système de fichiers où d’autres peuvent écrire. Libérez-y de l’espace, choisissez moins d’éléments ou un autre emplacement, ou montez le système de fichiers un répertoire plus haut. Rien n’a été modifié
not-a-directory = { $path } gêne : ce n’est pas un répertoire
not-a-directory-advice = Déplacez-le, ou restaurez ailleurs avec --to
destination-occupied = { $path } existe déjà
destination-occupied-advice = Choisissez un autre répertoire, ou déplacez celui-ci
mount-point = { $path } est un point de montage, qui ne peut pas être échangé avec une arborescence restaurée
no-snapshot = { $path } se trouve sur { $what }, dont on ne peut pas prendre d’instantané
no-snapshot-room = { $group } a { $free } libres, un instantané peut demander { $needed }
store-in-use = { $path } contient encore ce qu’une restauration précédente garde pour son annulation : { $store }
store-in-use-advice = Annulez cette opération (`reprise operations rollback`), ou attendez la fin de son délai et lancez `reprise operations expire`
nested-subvolume = Un sous-volume btrfs à part se trouve sous { $path } : { $subvolume }. Un instantané ne le contient pas, et ses fichiers ne peuvent pas passer d’un sous-volume à l’autre
nested-subvolume-advice = N’utilisez ni --protect, ni --merge, ni --only-changed si { $path } n’est pas un point de montage, ou restaurez ailleurs avec --to et copiez depuis là
no-snapshot-space = { $path } a { $free } libres ; avec un instantané, jusqu’à { $needed } peuvent être écrits avant que quoi que ce soit soit libéré
no-snapshot-advice = N’utilisez pas --protect : ce qui est remplacé est alors gardé à côté
no-snapshot-shared = { $path } est un système de fichiers où d’autres peuvent écrire : un instantané btrfs y serait à leur portée
protection-swap = { $path } : échangé en une étape ; l’existant est gardé à côté et prend autant de place que maintenant
protection-exchange = { $path } : ses noms sont échangés ; l’existant y est gardé et prend autant de place que maintenant
protection-differences = { $path } : ce qui est remplacé est gardé à côté et prend la place de ce qui diffère
protection-lvm = instantané { $name }, { $size } de son groupe de volumes ; les services écrivent plus lentement tant qu’il existe, et il ne vaut plus rien une fois plein
protection-thin = instantané fin { $name } ; il prend dans son pool la place de ce qui change
protection-archive = archive { $archive } de l’existant, faite pendant que les conteneurs sont arrêtés : environ { $size } à lire, et de la place dans le dépôt pour ce qu’il ne contient pas encore
backup-before-no-attributes = Par SSH, l’archive de --backup-before ne contient ni attributs étendus, ni listes d’accès, ni indicateurs de fichiers, et les dates à une microseconde près environ ; un fichier qui ne peut pas être lu met fin à la restauration. Ce qui est gardé là-bas pour une annulation est exact
backup-before-no-borg = --backup-before a besoin de `borg` sur cette machine : { $reason }
backup-before-no-borg-advice = Installer borgbackup (1.2 au moins pour un autre hôte), ou se passer de --backup-before
protection-btrfs = instantané { $name } ; il prend la place de ce qui change
protection-copy = { $path } : les conteneurs sont arrêtés pendant que l’existant ({ $size }) est copié dans { $name } et que ce qui est restauré ({ $comes }) y est copié ; les deux prennent cette place à côté jusqu’à la fin du délai. En cas de coupure de courant, ne démarrez aucun conteneur avant `reprise operations resume`
warn-snapshot-full = L’instantané { $name } est plein et ne vaut plus rien : il n’y a pas de retour en arrière
warn-snapshot-filling = L’instantané { $name } est plein à { $percent } % ; une fois plein, il n’y a plus de retour en arrière. `lvextend` lui donne plus de place
mount-shared = { $path } est un point de montage où d’autres peuvent écrire, dont des conteneurs : ce qui y serait gardé pour une annulation ne serait pas à l’abri
mount-shared-advice = Montez le système de fichiers sur { $above } et faites de { $path } un de ses répertoires : ce qui est gardé se trouve alors à côté. Ou restaurez ailleurs avec --to et copiez depuis là
mount-backdoor = Le conteneur { $container } peut écrire par un autre chemin dans le système de fichiers de { $path } : on ignore si ce sont les mêmes fichiers, qui changeraient pendant la restauration
mount-backdoor-advice = Arrêtez { $container } le temps de la restauration et réessayez. Ou restaurez ailleurs avec --to et copiez de là
mount-beside-memory = Ce qui se trouve à côté du point de montage { $path } est en mémoire : l’existant n’y survivrait pas à une coupure de courant
mount-beside-memory-advice = Montez-le sous un répertoire sur disque, ou restaurez ailleurs avec --to et copiez de là
store-left = { $store } reste tel quel
only-changed-shared = { $path } est un système de fichiers où d’autres peuvent écrire : tout est restauré, quoi qui diffère
file-flags = { $path } porte un attribut de fichier (`lsattr` l’affiche) qui empêche de le déplacer, ou de le remettre tel qu’il était
file-flags-advice = Retirez l’attribut avec `chattr`, ou n’utilisez ni --only-changed, ni --merge, ni --protect
file-flags-copy-advice = Retirez l’attribut avec `chattr`, ou restaurez ailleurs avec --to et copiez de là
container-sees-kept = Le conteneur { $container } peut écrire dans un répertoire qui contient { $path } : ce qui y serait gardé pour une annulation ne serait pas à l’abri
container-sees-kept-advice = N’utilisez ni --only-changed, ni --merge, ni --protect, ou montez-en moins dans { $container }, ou en lecture seule
container-sees-beside-advice = Réduisez ce que monte { $container } ou ne lui laissez rien à écrire, ou restaurez ailleurs avec --to et copiez de là
mount-store = { $path } est un point de montage : ce qui est restauré, et ce qui est gardé jusqu’à la fin du délai, se trouve dans { $store }
over-what-differs = { $path } : les conteneurs s’arrêtent d’abord, puis le contenu est comparé à l’archive et ce qui diffère est remplacé ; l’instantané permet de revenir en arrière
only-what-differs = { $path } : les conteneurs s’arrêtent d’abord, puis le contenu est comparé à l’archive et seul ce qui diffère est écrit. Une annulation relit l’archive
no-space-for-two = { $path } : il n’y a pas la place pour ce qui arrive à côté de ce qui est là. Les conteneurs s’arrêtent donc d’abord, puis le contenu est comparé à l’archive et seul ce qui diffère est écrit. Une annulation relit l’archive
no-space-for-two-advice = Rien n’est perdu ; mais les conteneurs sont arrêtés pendant la comparaison. Pour que tout soit préparé avant l’arrêt, libérez autant de place qu’il en faut pour ce qui arrive
attributes-unseen = Cet hôte n’a ni getfattr ni setfattr : les attributs étendus et listes d’accès qu’il est seul à avoir ne sont pas vus, et restent ; les répertoires qui restent n’en reçoivent pas
attributes-unseen-advice = Installez-les là-bas (Debian : `apt-get install attr`), ou ne demandez ni --only-changed ni --merge
merge-leaves = { $path } : les fichiers que l’archive ne contient pas restent, ce qu’une base de données peut mal supporter
merge-leaves-advice = Pour les données d’une base, restaurez sans --merge
volume-driver = Le volume { $volume } a son propre pilote ou des options, ses données ne peuvent pas être échangées avec une arborescence restaurée
no-swap-advice = Restaurez ailleurs avec --to puis copiez depuis cet endroit
container-uses = Le conteneur { $container } utilise { $path } : il sera arrêté
container-waits = Le conteneur { $container } dépend d’un conteneur qui sera arrêté : il sera arrêté aussi
container-not-compose = Le conteneur { $container } n’est pas géré par Compose : ses dépendances sont inconnues, sa place dans l’ordre de démarrage est donc devinée
container-not-compose-advice = Si autre chose doit tourner avant lui, relancez-le ensuite avec `docker restart { $container }`
container-above = Le conteneur { $container } peut écrire dans { $path } par un répertoire parent, et continue de tourner
container-above-advice = S’il y écrit, arrêtez-le pendant la restauration
volume-without-project = Le volume { $volume } revient sans son projet { $project } : anciennes données sous la configuration actuelle
volume-without-project-advice = Restaurez aussi le projet : ajoutez --item project:{ $project }
project-not-running = Le projet { $project } n’a pas de conteneur ici : ses fichiers reviennent, rien n’est démarré
project-not-running-advice = Après la restauration, lancez `docker compose up -d` dans { $path }
newer-data = L’archive date de { $age }. Ce qui a été écrit depuis n’y est pas ; c’est mis de côté jusqu’à la fin du délai d’annulation
adapt-not-text = { $file } n’est pas un texte présent, il n’a donc pas été adapté
adapt-not-text-advice = Regardez-le une fois la restauration terminée
adapt-failed = { $file } ne peut pas être adapté : { $reason }
adapt-failed-advice = Restaurez avec --adapt none et adaptez le fichier à la main
adapt-project-name = { $file } : le projet restauré s’appelle { $name } comme l’original. Démarrez-le avec `docker compose -p AUTRE-NOM up -d`, sinon ses conteneurs remplacent ceux de l’original
adapt-project-name-advice = Lancez-le sous un autre nom, ou arrêtez d’abord l’original
adapt-container-name = { $file } : le service { $service } a le nom de conteneur fixe { $name } ; il ne peut pas tourner à côté de l’original
adapt-container-name-advice = Donnez-lui un autre nom dans le fichier restauré, ou arrêtez d’abord l’original
adapt-port = { $file } : le service { $service } publie le port { $port } ; il ne peut pas tourner à côté de l’original
adapt-port-advice = Donnez-lui un autre port dans le fichier restauré, ou arrêtez d’abord l’original
adapt-note = { $file } : { $note }
adapt-note-advice = Regardez cela une fois la restauration terminée
archive-checkpoint = Cette archive est un point de reprise d’une sauvegarde inachevée : elle n’est pas entière
archive-checkpoint-advice = Prenez-en une qui est complète : `reprise archives` les liste
archive-unauthenticated = L’archive vient d’un ancien Borg et n’a pas d’authentification propre ; son contenu est authentifié malgré tout
operation-unfinished = L’opération { $id } a été interrompue ou n’a pas pu être annulée
operation-unfinished-advice = Terminez-la d’abord : `reprise operations resume { $id }` ou `reprise operations rollback { $id }`
blocked = { $count ->
    [one] La restauration ne peut pas commencer : { $first }
   *[other] La restauration ne peut pas commencer pour { $count } raisons, dont la première : { $first }
}
undoing = Annuler : { $step }
word-kind = genre
word-name = nom
word-size = taille
word-entries = entrées
word-path = chemin
word-time = date (utc)
word-files = fichiers
word-compressed = compressé
word-unique = propre
word-deduplicated = dédupliqué
word-status = état
word-id = id
word-created = créée
word-finished = terminée
word-archive = archive
word-reversible = annulable pendant
word-none = aucun
word-kept = gardé
word-error = erreur
word-warning = avertissement
contents-nothing = Rien de Docker dans cette archive : ni volume, ni projet Compose, ni configuration du moteur.
contents-recorded = D’après ce que la sauvegarde a enregistré.
contents-from-paths = Déduit des chemins.
contents-total = { $entries ->
    [one] 1 entrée
   *[other] { $entries } entrées
}, { $size } dans toute l’archive.
archives-none = Le dépôt ne contient pas encore d’archive.
plan-title = Restauration
plan-archive = Archive
plan-host = Machine
plan-destination = Destination
plan-in-place = SUR PLACE
plan-writes = Va écrire
plan-stops = Arrête
plan-duration = Durée estimée
plan-downtime = Interruption
plan-undo = Annulable
plan-undo-window = pendant { $window } après la fin ; ce qui est remplacé est gardé jusque-là
plan-items = Éléments
plan-findings = Constats
plan-diff = Modifications des fichiers compose
plan-steps = Étapes
dry-run-done = Simulation : les étapes ont été répétées et rien n’a été modifié.
status-running = en cours
status-interrupted = interrompue
status-completed = terminée
status-rolled-back = annulée
status-rollback-incomplete = annulation incomplète
step-pending = pas faite
step-satisfied = rien à faire
step-started = commencée
step-done = faite
operations-none = Aucune opération n’est encore enregistrée.
advice-interrupted = Elle a été interrompue. `reprise operations resume { $id }` la poursuit, `reprise operations rollback { $id }` remet ce qu’il y avait avant.
advice-incomplete = Corrigez ce que dit l’erreur, puis relancez `reprise operations rollback { $id }`.
resume-forward = L’opération { $id } a été interrompue : elle va à son terme.
resume-backward = L’opération { $id } était en cours d’annulation : cela va à son terme.
rollback-already = L’opération { $id } est déjà annulée.
rollback-effect = L’opération { $id } va être annulée. Ce qui y a été écrit depuis le { $when } sera perdu.
expired-count = { $count ->
    [0] Rien à supprimer : aucun délai d’annulation n’est écoulé.
    [one] Ce que gardait 1 opération est supprimé.
   *[other] Ce que gardaient { $count } opérations est supprimé.
}
ended-completed = Terminé : tout est restauré sur place (opération { $id }).
ended-downtime = Interruption : { $seconds } s.
ended-undo = Pour l’annuler, jusqu’au { $until } : reprise operations rollback { $id }
ended-rolled-back = Annulée : tout est comme avant l’opération { $id }.
ended-cancelled = Interrompue : tout est comme avant.
ended-failed = La restauration a échoué, et tout est comme avant. `reprise operations log { $id }` dit ce qui s’est passé.
ended-stuck = L’annulation s’est arrêtée à l’étape { $step } : cette étape et les précédentes sont encore en place. Corrigez ce que dit l’erreur, puis lancez : reprise operations rollback { $id }
ask-help = ↑↓ pour se déplacer, Entrée pour choisir, Échap pour quitter
ask-what = Que faut-il restaurer ?
ask-full = Tout
ask-volumes = Les volumes seulement
ask-compose = Les projets Compose seulement
ask-custom = Des éléments précis
ask-items = Quels éléments ?
ask-items-help = Espace pour cocher, Entrée pour finir
ask-where = Vers où ?
ask-elsewhere = Un autre emplacement (recommandé) : rien d’existant n’est touché
ask-in-place = Sur place : l’existant est remplacé, et gardé pour une annulation
ask-directory = Répertoire :
ask-adapt = Que faire des fichiers compose ?
ask-adapt-auto = Les adapter aux chemins restaurés
ask-adapt-new = Les adapter, et garder les originaux à côté
ask-adapt-none = Les laisser tels quels
ask-word = restaurer
ask-type-word = Tapez « { $word } » pour continuer :
ask-go-on = Continuer ?
event-planned = prévu : { $count ->
    [one] 1 étape
   *[other] { $count } étapes
}
event-begins = commence
event-rolls-back = annulation, à la demande
event-cancelled = interrompue : annulation
event-turns-round = échec : { $error }. Annulation
event-satisfied = [{ $number }] rien à faire : { $step }
event-started = [{ $number }] commencé : { $step }
event-done = [{ $number }] fait : { $step }
event-undone = [{ $number }] annulé : { $step }
event-failed = [{ $number }] échec : { $step } : { $error }
event-undo-failed = [{ $number }] annulation impossible : { $step } : { $error }
event-warned = avertissement : { $warning }
event-cleared = tout cela est supprimé
event-expired = ce qui était gardé pour une annulation est supprimé
engine-not-restarted = Le démon Docker ne lit sa configuration qu’à son démarrage, et la restauration ne le redémarre pas
engine-not-restarted-advice = Redémarrez-le ensuite, quand les conteneurs peuvent s’arrêter un instant
ended-completed-elsewhere = Terminé : tout est restauré dans { $path } (opération { $id }).
plan-undo-window-elsewhere = pendant { $window } après la fin ; ce qui a été restauré est alors retiré
warn-volume-in-use = Le volume { $volume } reste, vide : le conteneur { $container }, créé depuis, s’y réfère
word-items = éléments
repository-older = Le dépôt est dans un état plus ancien qu’à sa dernière lecture : sa dernière écriture datait alors du { $then }, elle date maintenant du { $now }. Les archives plus récentes y manquent
nothing-matches = Rien dans l’archive ne correspond à { $pattern }
more-like-these = … et { $count } autres du même genre
extract-done = { $count ->
    [one] { $count } élément
   *[other] { $count } éléments
}, { $size }, extraits vers { $path }
extract-compared = { $count ->
    [one] { $count } élément comparé
   *[other] { $count } éléments comparés
}, { $size } viendraient de l’archive ; rien n’a été écrit
extract-unchanged = { $count ->
    [one] dont { $count } était déjà tel quel
   *[other] dont { $count } étaient déjà tels quels
}
extract-rehearsed = { $count ->
    [one] { $count } élément
   *[other] { $count } éléments
}, { $size }, lus et vérifiés ; rien n’a été écrit
export-done = { $count ->
    [one] { $count } élément
   *[other] { $count } éléments
}, { $size }, écrits dans le flux tar
verify-sound = Intact : tout est tel qu’il a été écrit ({ $size }, { $objects } objets). Archives entières : { $whole } sur { $archives }.
verify-damaged = ENDOMMAGÉ. Archives entières : { $whole } sur { $archives } ; objets intacts : { $objects } ; lus : { $size }. Copiez le dépôt, puis lancez `borg check --repair` sur la copie.
verify-archive-sound = Intact : les { $count } éléments de { $archive }, { $size }, sont tels qu’ils ont été sauvegardés.
verify-archive-damaged = ENDOMMAGÉ : de { $archive }, { $count } éléments sont tels qu’ils ont été sauvegardés ; { $size } ont pu être lus.
verify-unfinished = { $count ->
    [one] { $count } segment
   *[other] { $count } segments
} après la dernière transaction, non lus : restes d’une sauvegarde inachevée
word-whole = entiers
word-lost = perdu
word-encryption = chiffrement
word-modified = modifié
word-authenticated = authentifié
word-archives = archives
word-yes = oui
word-no = non
word-host = machine
word-user = utilisateur
word-begun = début
word-ended = fin
word-command = commande
word-comment = commentaire
script-once = Ce qu’un passage précédent a laissé n’est pas touché : renommez-le ou supprimez-le d’abord.
foreign-link = Le chemin vers { $path } passe par le lien symbolique { $link }, qui n’appartient ni à root ni à vous
foreign-link-advice = Le propriétaire de ce lien déciderait où va la restauration. Remplacez-le, ou restaurez ailleurs avec --to
targets-overlap = { $one } et { $other } se recouvriraient
targets-overlap-advice = N’en choisissez qu’un avec --item
reserved-state = { $target } contient le répertoire d’état { $path }, ou s’y trouve
reserved-repository = { $target } contient le dépôt { $path }, ou s’y trouve
reserved-engine = { $target } contient le répertoire de Docker { $path }
reserved-advice = Une restauration ne doit pas déplacer ce dont elle a besoin. Restaurez des éléments précis avec --item, ou ailleurs avec --to
container-down = Le conteneur { $container } utilise ce qui est restauré et ne tourne pas : il reste arrêté
container-down-advice = Après la restauration, démarrez-le avec `docker start { $container }`
container-paused = Le conteneur { $container } est en pause, et tournera après la restauration
container-paused-advice = Remettez-le ensuite en pause avec `docker pause { $container }`
bind-missing = Le conteneur { $container } monte { $path }, que l’archive ne contient pas : il manquera ; ce qui s’y trouve est mis de côté
bind-missing-advice = S’il en a besoin, recopiez-le depuis ce qui est mis de côté une fois la restauration terminée
bind-left = Le conteneur { $container } monte { $path }, que l’archive contient mais qui n’est ni volume, ni projet, ni configuration : il reste tel quel
bind-left-advice = Si cela doit revenir aussi, récupérez-le avec `reprise extract`
docker-elsewhere = Docker est interrogé sur { $endpoint }, une autre machine, mais les fichiers sont restaurés sur celle-ci
docker-elsewhere-advice = Lancez ceci sur cette machine-là, ou retirez DOCKER_HOST et choisissez le contexte Docker local
volume-twice = L’archive contient un second répertoire pour le volume { $volume } sous { $path } : il est laissé de côté
volume-twice-advice = Si c’est celui qu’il faut, récupérez-le avec `reprise extract`
directory-not-archived = L’archive contient des fichiers sous { $path }, mais pas ce répertoire lui-même : il ne peut pas être restauré en entier
directory-not-archived-advice = Récupérez les fichiers qu’il contient avec `reprise extract`
plan-space = Espace disque
plan-space-up-to = jusqu’à { $needed } nécessaires, si tout diffère ; { $free } libres (système de fichiers de { $path })
plan-space-of = { $needed } nécessaires, { $free } libres (système de fichiers de { $path })
plan-protection = Protection
plan-protection-swap = restauré à côté, vérifié, échangé en une étape ; l’existant est gardé
plan-protection-elsewhere = rien d’existant n’est touché
operation-unreadable = Une opération antérieure est illisible : { $error }
operation-unreadable-advice = Elle a pu laisser des conteneurs arrêtés ou des arborescences échangées. Cherchez les chemins contenant `{ $id }`, remettez-les en ordre, puis déplacez son journal
cancelling = Arrêt en sécurité : rien ne reste à moitié fait. Patientez.
stopping = Arrêt.
ended-kept = Ce qui s’y trouvait est gardé et occupe de la place jusqu’au { $until } ; ensuite, `reprise operations expire` le supprime.
ended-rolled-back-but = L’opération { $id } est annulée, mais tout n’est pas comme avant : voyez les avertissements ci-dessus.
ended-cancelled-but = Interrompue et annulée, mais tout n’est pas comme avant : voyez les avertissements ci-dessus. `reprise operations show { $id }` les répète.
ended-failed-but = La restauration a échoué et a été annulée, mais tout n’est pas comme avant : voyez les avertissements ci-dessus. `reprise operations log { $id }` dit ce qui s’est passé.
word-target = cible
log-readable = Voici les lignes encore lisibles ; ce qui manque entre elles est inconnu.
ask-archive = Quelle archive ?
archive-size = { $files ->
    [one] 1 fichier
   *[other] { $files } fichiers
}, { $size }
output-lost = Tout n’a pas pu être écrit sur la sortie standard.
inventory-summary = Trouvé : { $volumes ->
    [one] 1 volume
   *[other] { $volumes } volumes
}, { $projects ->
    [one] 1 projet Compose
   *[other] { $projects } projets Compose
}, { $containers ->
    [one] 1 conteneur
   *[other] { $containers } conteneurs
}, { $networks ->
    [one] 1 réseau
   *[other] { $networks } réseaux
}.
inventory-left-out-driver = { $item } est laissé de côté : son pilote ou ses options disent où sont ses données ; sauvegardez-les là
inventory-left-out-missing = { $item } est laissé de côté : son répertoire n’existe pas
inventory-left-out-name = { $item } est laissé de côté : son nom ou son chemin ne peut pas être restauré
word-server-does-not-tell = le serveur ne le dit pas
verify-remote = Il est sur un serveur : ce que les archives utilisent a été lu et vérifié. Ses segments et son index relèvent de `borg check` sur place.
word-address = adresse
word-host-key = clé d’hôte
hosts-none = Il n’y a pas encore d’hôte ; `reprise host add NOM ADRESSE` en ajoute un.
host-key-none = aucune épinglée
host-declared-in = déclaré dans
host-identity = se connecte avec
host-identity-any = ce que ssh trouve
host-install-key = Autorisez cette clé, comme une ligne de ~{ $user }/.ssh/authorized_keys sur { $name } :
host-sudoers = { $user } n’est pas root ; le fichier sudoers de l’hôte demande cette ligne : { $user } ALL=(root) NOPASSWD: /bin/sh, /usr/bin/sh
host-added = { $name } est ajouté. Sa clé d’hôte est épinglée.
host-check-next = Ensuite : reprise host check { $name }
host-shows-key = { $address } montre une clé de type { $kind } : { $fingerprint }
host-compare-key = Comparez-la à ce que dit l’hôte lui-même : ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub (ou du type ci-dessus).
host-trust-key = Est-ce bien sa clé ?
host-remove-question = Oublier { $name }, sa clé épinglée et la paire de clés faite pour lui ?
host-removed = { $name } est oublié.
host-unpinned = Les clés de { $name } sont oubliées ; { $file } le déclare toujours.
host-check-login = La connexion fonctionne : il s’appelle { $hostname } ({ $milliseconds } ms).
host-check-root = Elle mène à root.
host-check-sudo = sudo fonctionne sans mot de passe.
host-check-tools = Tous les programmes nécessaires sont là.
host-check-missing = Des programmes y manquent : { $tools }
host-check-exchange = Deux arborescences échangent leurs places en une seule étape (par { $way }).
host-check-no-exchange = Deux arborescences échangent leurs places en deux étapes : perl ou python3 sur l’hôte en feraient une seule.
host-check-no-attributes = getfattr et setfattr y manquent : --only-changed et --merge ne voient alors ni attributs étendus ni listes d’accès. Debian les a dans `attr`.
host-check-docker = Docker { $version } répond ; { $free } sont libres dans { $root }.
script-elsewhere = Ce script est pour { $host }, qui doit atteindre le dépôt sous le nom { $repository } pour l’exécuter.
mount-done = { $what } est monté sur { $dir } ; `reprise umount` le démonte
mount-busy = Il est encore utilisé : il n’est plus visible, et se termine quand plus personne ne l’utilise, dans 10 secondes au plus tard.
mount-log = Ce qui n’y sera pas lisible sera signalé dans { $file }
mount-lost-bytes = { $path } dans { $archive } : les octets { $from } à { $to } sont illisibles : { $reason }
mount-lost-file = { $path } dans { $archive } est illisible : { $reason }
mount-lost-archive = { $archive } : { $reason }
mount-lost-others = { $count ->
    [one] Un autre élément illisible n’a pas été signalé : il y en avait trop à la fois
   *[other] { $count } autres éléments illisibles n’ont pas été signalés : il y en avait trop à la fois
}
umount-done = { $dir } est démonté
step-create-network = Créer le réseau { $network }
step-create-container = Recréer le conteneur { $container } tel qu’il était enregistré, à partir de l’image { $image }
step-set-aside = Mettre de côté le conteneur { $container }, gardé sous le nom { $kept }
step-compose-create = Faire recréer par Compose les conteneurs manquants du projet { $project } dans { $path }
warn-network-readdressed = Le réseau { $network } a d’autres adresses qu’avant : un autre réseau les a prises entre-temps
warn-network-in-use = Le réseau { $network } reste : un conteneur venu depuis s’en sert
warn-container-replaced = Le conteneur { $container } a été recréé par quelqu’un depuis et reste
warn-container-written = Le conteneur { $container } est revenu avec ce qu’il avait lui-même écrit, à partir d’une image qui le contient ; Compose le recréera quand on le lui demandera
project-lost = Le projet { $project } n’a pas de conteneurs ici : Compose les recrée à partir des fichiers restaurés ({ $containers })
project-lacks = Il manque des conteneurs au projet { $project } : Compose les recrée à partir des fichiers restaurés ({ $containers })
project-changed = Les fichiers qui définissent les conteneurs de { $project } diffèrent de ceux d’ici ({ $files }) : les conteneurs créés autrement sont mis de côté et recréés
project-changed-advice = Pour laisser les conteneurs tels quels, restaurez avec --no-recreate
project-older = Les conteneurs de { $project } sont plus anciens que les fichiers qui les définissent : ceux qui ont été créés autrement sont mis de côté et recréés
project-older-advice = Pour laisser les conteneurs tels quels, restaurez avec --no-recreate
project-stays = Les fichiers restaurés de { $project } diffèrent de ceux qui ont servi à créer ses conteneurs, et ceux-ci restent tels quels
project-elsewhere = Des conteneurs d’un projet { $project } existent, créés à partir de { $path } : ils restent tels quels, et aucun n’est créé à partir des fichiers restaurés
project-elsewhere-advice = Pour avoir les deux, lancez `docker compose -p AUTRE-NOM up -d` dans le répertoire restauré
project-unreadable = Impossible de lire dans les fichiers de { $project } comment ses conteneurs sont créés : ils restent tels quels
compose-missing = Compose n’y est pas installé : les conteneurs de { $project } ne sont pas recréés
compose-missing-advice = Installez d’abord Compose sur cette machine
container-lost = Le conteneur { $container } n’existe plus : il est recréé tel qu’il était enregistré
container-not-made = Le conteneur { $container } n’existe plus et n’est pas recréé
container-not-made-advice = Pour qu’il soit créé, restaurez sans --no-recreate
container-shares = Le conteneur { $container } partage le réseau du conteneur { $other } : il n’est pas recréé
container-network = Le conteneur { $container } était dans le réseau { $network }, dont on ne sait rien : il n’est pas recréé
container-by-hand-advice = Recréez-le à la main une fois la restauration terminée
variables-unknown = Les fichiers du projet { $project } utilisent des variables inconnues ici ({ $variables }) : des conteneurs créés maintenant n’auraient rien à leur place, aucun n’est donc créé
variables-unknown-advice = Une fois la restauration terminée, lancez `docker compose up -d` avec ces variables dans son environnement
name-taken = Le conteneur { $container } existe et n’appartient pas au projet { $project } : rien de ce projet n’est créé
name-taken-advice = Donnez d’abord un autre nom à ce conteneur : `docker rename { $container } AUTRE-NOM`
volume-anonymous = Le conteneur { $container } garde des données dans un volume sans nom, qu’un nouveau conteneur n’aurait pas : le projet { $project } n’est pas recréé
volume-anonymous-advice = Une fois la restauration terminée, copiez ces données si elles servent, puis lancez `docker compose up -d`
container-joined = Le conteneur { $other } partage un espace de noms de { $container } et le perdrait : le projet { $project } n’est pas recréé
container-joined-advice = Une fois la restauration terminée, lancez `docker compose up -d`, puis recréez { $other }
container-passing = Le conteneur { $container } doit être arrêté, et Docker le supprime alors (il a été lancé avec --rm)
container-passing-advice = S’il peut disparaître, arrêtez-le avec `docker stop { $container }` et refaites le plan
container-powers = Le conteneur { $container } est créé tel qu’il était enregistré, avec des droits sur cet hôte : { $powers }
container-powers-advice = S’il ne doit pas les avoir, restaurez avec --no-recreate et créez-le à la main
volume-secret = Le volume { $volume } n’est pas créé : ses options contiennent un secret, qui n’a pas sa place dans un plan
volume-secret-advice = Compose le crée lui-même ; sinon, créez-le avec `docker volume create`
network-missing = Le projet { $project } attend un réseau { $name } qui est absent et que Compose ne crée pas : ses conteneurs ne sont pas recréés
network-missing-advice = Créez-le d’abord avec `docker network create { $name }`, ou lancez `docker compose up -d` dans { $path } après la restauration
volume-missing = Le projet { $project } attend un volume { $name } qui est absent, n’est pas restauré, et que Compose ne crée pas : ses conteneurs ne sont pas recréés
volume-missing-advice = Restaurez-le aussi, ou créez-le d’abord avec `docker volume create { $name }`
image-missing = L’image { $image } est absente : ce que { $user } exécute n’est pas recréé
image-pull-advice = Obtenez-la d’abord avec `docker pull { $image }`, ou laissez Compose le faire avec --pull
image-build-advice = Une fois la restauration terminée, lancez `docker compose up -d --build` dans { $path }
image-changed = Le conteneur { $container } est recréé à partir de l’image { $image }, qui n’est plus la même
image-changed-advice = S’il faut la même qu’avant, récupérez-la d’abord par son condensat avec `docker pull` et donnez-lui ce nom avec `docker tag`
archive-passed-checkpoint = L’archive { $archive } est écartée : c’est un point de reprise d’une sauvegarde inachevée
archive-passed-checkpoint-advice = Cherchez pourquoi cette sauvegarde n’a pas abouti
archive-passed-unreadable = L’archive { $archive } est écartée : elle est illisible ({ $reason })
archive-passed-unreadable-advice = `reprise verify` dit jusqu’où vont les dégâts
archive-passed-damaged = L’archive { $archive } est écartée : le contenu { $count ->
    [one] d’un fichier y est perdu
   *[other] de { $count } fichiers y est perdu
}
archive-passed-damaged-advice = `reprise verify` dit jusqu’où vont les dégâts
warn-unhealthy-kept = Le conteneur { $container } ne va pas bien et a été gardé malgré tout : { $state }
container-unhealthy = Le conteneur { $container } n’est pas sain en ce moment : après la restauration, ce sera seulement signalé s’il ne l’est pas
container-unhealthy-advice = `docker inspect` montre ce que dit son contrôle de santé
data-newer = Le contenu de { $path } a été modifié { $after } après la création de l’archive. Il est mis de côté jusqu’à la fin du délai d’annulation
data-newer-advice = Pour garder ce qui a été écrit depuis, copiez-le de là avant la fin du délai
engine-other = Les données de { $item } sont de PostgreSQL { $data }, et le conteneur { $container } exécute PostgreSQL { $engine }, qui ne peut pas les lire
engine-older = Les données de { $item } sont de MariaDB { $data }, et le conteneur { $container } exécute MariaDB { $engine }, plus ancien
engine-newer = Les données de { $item } sont de MariaDB { $data }, et le conteneur { $container } exécute MariaDB { $engine }
engine-other-advice = Restaurez aussi le fichier Compose du projet, ou choisissez l’image de la version des données
engine-newer-advice = Une fois la restauration terminée, lancez-y `mariadb-upgrade`
network-readdressed = Le réseau { $network } est créé avec d’autres adresses que les siennes : le réseau { $holder } les a maintenant
network-overlaps = Le réseau { $network } ne peut pas être créé : des conteneurs y ont des adresses fixes, que le réseau { $holder } a maintenant
network-overlaps-advice = Supprimez ou renumérotez { $holder }, ou laissez conteneurs et réseaux tels quels avec --no-recreate
network-changed = Le réseau { $network } a d’autres options que lors de la sauvegarde, et reste tel quel
network-changed-advice = Pour le retrouver comme avant, supprimez-le avec `docker network rm { $network }` avant la restauration
volume-changed = Le volume { $volume } a un autre pilote ou d’autres options que lors de la sauvegarde, et les garde
volume-changed-advice = Si cela compte, restaurez ailleurs avec --to, créez un volume comme il le faut et copiez-y les données
port-taken = Le conteneur { $container } a besoin du port { $port }, que le conteneur { $holder } occupe
port-listening = Le conteneur { $container } a besoin du port { $port }, sur lequel un autre programme écoute
port-taken-advice = Arrêtez-le d’abord (`ss -lntup` dit qui écoute), ou laissez les conteneurs tels quels avec --no-recreate
