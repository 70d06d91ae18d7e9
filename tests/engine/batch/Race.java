import io.delta.storage.LogStore;
import java.nio.file.FileAlreadyExistsException;
import java.util.List;
import java.util.Scanner;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Race STORE FOLDER NAME: reads a time, writes 40 files from then on; prints those it was first at. */
public final class Race {
    public static void main(String[] given) throws Exception {
        Configuration settings = new Configuration();
        settings.set("fs.s3.impl", "org.apache.hadoop.fs.s3a.S3AFileSystem");
        settings.set("fs.s3a.endpoint", System.getenv("AWS_ENDPOINT_URL"));
        settings.set("fs.s3a.endpoint.region", System.getenv("AWS_REGION"));
        settings.set("fs.s3a.path.style.access", "true");
        LogStore store =
                (LogStore) Class.forName(given[0]).getConstructor(Configuration.class).newInstance(settings);
        Path warm = new Path(given[1] + "/" + given[2]);
        store.write(warm, List.of("here").iterator(), false, settings);
        System.out.println("ready");
        long begin = new Scanner(System.in).nextLong();
        for (int number = 0; number < 40; number++) {
            // Whoever is slower in general is ahead of the other at some of them.
            long ahead = given[2].equals("two") ? (number % 9 - 4) * 10L : 0;
            Thread.sleep(Math.max(0, begin + number * 100L - ahead - System.currentTimeMillis()));
            try {
                store.write(new Path(given[1] + "/" + number), List.of(given[2]).iterator(), false, settings);
                System.out.println(number);
            } catch (FileAlreadyExistsException second) {
                // the other one was first
            }
        }
        // What was written and is written once more with the same text is ours: the answer may have been lost.
        store.write(warm, List.of("here").iterator(), false, settings);
    }
}
