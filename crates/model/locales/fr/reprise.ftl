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
step-make-dirs = Créer le répertoire { $path }
warn-dir-not-empty = { $path } n’est plus vide et reste
warn-container-gone = Le conteneur { $container } n’existe plus, il n’a donc pas été démarré
warn-unhealthy-after-undo = Le conteneur { $container } a été redémarré mais n’est pas en bonne santé : { $state }
warn-extract = { $warning }
script-title = Reprise : restauration depuis { $archive }
script-secret = Borg demande la phrase de passe, ou la prend dans BORG_PASSPHRASE ou BORG_PASSCOMMAND.
script-root = À lancer en root, sur la machine pour laquelle le plan a été fait.
script-needs = Tout ce qu’il faut est là, sinon rien ne commence.
