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
