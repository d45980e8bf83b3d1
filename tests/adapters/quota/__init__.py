# SPDX-License-Identifier: Apache-2.0
"""A WSDL that is really in use: the Dutch register behind the employment quota for disabled people.

quota.yaml   the adapter's description
contracts    the contract it is mapped to
stand_in     a server whose messages keep to the WSDL's own schemas

Source: SuwiML UWVDossierQuotumArbeidsbeperktenGSD v0300-b01 (BKWI), kept beside the checkout.
"""
