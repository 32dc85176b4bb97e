<?php
$CONFIG = array('instanceid' => 'oc1234', 'datadirectory' => '/var/www/html/data');
