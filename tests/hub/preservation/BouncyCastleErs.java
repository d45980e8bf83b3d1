// SPDX-License-Identifier: Apache-2.0

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.DigestCalculator;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampRequestGenerator;
import org.bouncycastle.tsp.TimeStampResponse;
import org.bouncycastle.tsp.ers.ERSArchiveTimeStamp;
import org.bouncycastle.tsp.ers.ERSArchiveTimeStampGenerator;
import org.bouncycastle.tsp.ers.ERSByteData;
import org.bouncycastle.tsp.ers.ERSData;
import org.bouncycastle.tsp.ers.ERSDataGroup;
import org.bouncycastle.tsp.ers.ERSEvidenceRecord;
import org.bouncycastle.tsp.ers.ERSEvidenceRecordGenerator;

/**
 * Evidence records by BouncyCastle, which shares nothing with ours; one task a line of the file it is given.
 *
 * verify RECORD MILLISECONDS FILE...      says "holds" or why not; several files are one group
 * make URL FOLDER FILE[,FILE]...          stamps each group and renews the first one's record twice
 */
public final class BouncyCastleErs {
    private static final BouncyCastleProvider PROVIDER = new BouncyCastleProvider();
    private static DigestCalculatorProvider digests;

    public static void main(String[] arguments) throws Exception {
        digests = new JcaDigestCalculatorProviderBuilder().setProvider(PROVIDER).build();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] words = line.split(" ");
            if (words[0].equals("verify")) {
                System.out.println(verify(words));
            } else {
                make(words);
                System.out.println("made");
            }
        }
    }

    private static String verify(String[] words) {
        try {
            ERSEvidenceRecord record = new ERSEvidenceRecord(Files.readAllBytes(Path.of(words[1])), digests);
            X509CertificateHolder signer = record.getSigningCertificate();
            record.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider(PROVIDER).build(signer));
            ERSData data = group(Arrays.copyOfRange(words, 3, words.length));
            record.validatePresent(data, new Date(Long.parseLong(words[2])));
            return "holds";
        } catch (Exception | Error exception) {
            return exception.getClass().getSimpleName() + ": " + exception.getMessage();
        }
    }

    private static void make(String[] words) throws Exception {
        DigestCalculator sha256 = digest(true);
        ERSArchiveTimeStampGenerator generator = new ERSArchiveTimeStampGenerator(sha256);
        List<ERSData> groups = new ArrayList<>();
        for (int i = 3; i < words.length; i++) {
            groups.add(group(words[i].split(",")));
        }
        generator.addAllData(groups);
        TimeStampRequestGenerator asking = new TimeStampRequestGenerator();
        asking.setCertReq(true);
        TimeStampResponse given = ask(words[1], generator.generateTimeStampRequest(asking));
        List<ERSArchiveTimeStamp> stamps = generator.generateArchiveTimeStamps(given);
        List<ERSEvidenceRecord> records = new ERSEvidenceRecordGenerator(digests).generate(stamps);
        for (int i = 0; i < records.size(); i++) {
            write(words[2], "made-" + i, records.get(i));
        }
        ERSEvidenceRecord record = records.get(0);
        record = record.renewTimeStamp(ask(words[1], record.generateTimeStampRenewalRequest(asking)));
        write(words[2], "renewed", record);
        DigestCalculator sha512 = digest(false);
        ERSData first = group(words[3].split(","));
        record = record.renewHash(
            sha512, first, ask(words[1], record.generateHashRenewalRequest(sha512, first, asking)));
        write(words[2], "rehashed", record);
    }

    private static ERSData group(String[] files) throws Exception {
        List<ERSData> members = new ArrayList<>();
        for (String file : files) {
            members.add(new ERSByteData(Files.readAllBytes(Path.of(file))));
        }
        return members.size() == 1 ? members.get(0) : new ERSDataGroup(members);
    }

    private static DigestCalculator digest(boolean isFirst) throws Exception {
        return digests.get(new AlgorithmIdentifier(
            isFirst ? NISTObjectIdentifiers.id_sha256 : NISTObjectIdentifiers.id_sha512));
    }

    private static TimeStampResponse ask(String url, TimeStampRequest request) throws Exception {
        HttpRequest post = HttpRequest.newBuilder(URI.create(url))
            .header("Content-Type", "application/timestamp-query")
            .POST(HttpRequest.BodyPublishers.ofByteArray(request.getEncoded()))
            .build();
        HttpResponse<byte[]> answer =
            HttpClient.newHttpClient().send(post, HttpResponse.BodyHandlers.ofByteArray());
        TimeStampResponse response = new TimeStampResponse(answer.body());
        response.validate(request);
        return response;
    }

    private static void write(String folder, String name, ERSEvidenceRecord record) throws Exception {
        Files.write(Path.of(folder, name + ".ers"), record.getEncoded());
    }
}
