<?php
// SPDX-License-Identifier: Apache-2.0
// A legacy system as PHP's own SoapServer writes it, over the labour bureau's WSDL.
ini_set('soap.wsdl_cache_enabled', '0');

class EmploymentFile
{
    public function CXYGBA($question)
    {
        if ($question->DWDM !== '91510108MA6C00001C') {
            throw new SoapFault('Server', '单位不存在', null, ['CWDM' => 'E0404', 'CWMS' => '单位不存在'], 'CWXX');
        }
        return [
            'DWXX' => ['DWDM' => $question->DWDM, 'DWMC' => '成都市成华区晨曦纸品有限公司'],
            'ND' => $question->ND,
            'YRSQK' => [['YF' => $question->ND . '01', 'ZGRS' => 1]],
            'RYXX' => [[
                'GRSFZH' => '511622197901111001', 'XM' => '李秀兰', 'YGKSRQ' => '20230401', 'YGJSRQ' => '',
                'YGFS' => '1',
            ]],
        ];
    }
}

$version = $_SERVER['CONTENT_TYPE'] ?? '';
$server = new SoapServer(getenv('PEER_WSDL'), [
    'soap_version' => str_contains($version, 'application/soap+xml') ? SOAP_1_2 : SOAP_1_1,
]);
$server->setClass('EmploymentFile');
$server->handle();
