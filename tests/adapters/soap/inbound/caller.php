<?php
// SPDX-License-Identifier: Apache-2.0
// An old system that can only speak SOAP: php caller.php ADDRESS 1|2 NAME PASSWORD TEXT
[, $address, $version, $name, $password, $text] = $argv;
ini_set('soap.wsdl_cache_enabled', '0');
$wsse = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';
$type = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText';
$security = new SoapVar(
    "<w:Security xmlns:w=\"$wsse\"><w:UsernameToken><w:Username>$name</w:Username>" .
    "<w:Password Type=\"$type\">$password</w:Password></w:UsernameToken></w:Security>",
    XSD_ANYXML
);
$client = new SoapClient("$address?wsdl", ['soap_version' => $version === '2' ? SOAP_1_2 : SOAP_1_1]);
$client->__setSoapHeaders([new SoapHeader($wsse, 'Security', $security, true)]);
echo $client->Echo(['text' => $text])->text;
