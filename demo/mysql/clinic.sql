-- A small clinic on MariaDB 10.6 or newer, or MySQL 8: the sample customer of `make run`. demo/postgres/clinic.sql
-- holds the same tables and the same rows. Load it into an empty utf8mb4 database: mariadb clinic < clinic.sql
--
-- Every row is computed from its number, so each load gives the same content. All people are made up; phone numbers
-- are from 555-0100 to 555-0199, which are kept for fiction, social security numbers begin with 9, which none does,
-- and mail addresses end in the reserved example domains.

SET NAMES utf8mb4;
SET sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,ONLY_FULL_GROUP_BY';
-- For MariaDB what MySQL does by itself: a TIMESTAMP without a default gets none.
SET time_zone = '+00:00' /*M!, explicit_defaults_for_timestamp = ON */;

CREATE TABLE locations (
    id            INT PRIMARY KEY AUTO_INCREMENT,
    code          VARCHAR(8) NOT NULL UNIQUE,
    name          VARCHAR(80) NOT NULL,
    address       VARCHAR(160) NOT NULL,
    phone         VARCHAR(16) NOT NULL,
    time_zone     VARCHAR(40) NOT NULL,
    opening_hours JSON NOT NULL COMMENT 'Weekday to opening and closing time, local time'
) COMMENT 'Sites of the clinic that patients can visit';

CREATE TABLE practitioners (
    id                    INT PRIMARY KEY AUTO_INCREMENT,
    registration_number   VARCHAR(12) NOT NULL UNIQUE,
    first_name            VARCHAR(60) NOT NULL,
    last_name             VARCHAR(60) NOT NULL,
    specialty             VARCHAR(60) NOT NULL,
    location_id           INT NOT NULL,
    email                 VARCHAR(120) NOT NULL UNIQUE,
    languages             SET('en', 'es', 'fr', 'vi') NOT NULL DEFAULT 'en' COMMENT 'Languages spoken, ISO 639-1',
    accepts_new_patients  BOOLEAN NOT NULL DEFAULT TRUE,
    rating                FLOAT COMMENT 'Mean of patient ratings, 1 to 5',
    KEY practitioners_last_name (last_name, first_name),
    KEY practitioners_specialty (specialty),
    KEY practitioners_location (location_id),
    CONSTRAINT practitioners_location_id_fkey FOREIGN KEY (location_id) REFERENCES locations (id)
) COMMENT 'Doctors, nurses and therapists who see patients';

CREATE TABLE services (
    id               INT PRIMARY KEY AUTO_INCREMENT,
    code             VARCHAR(12) NOT NULL UNIQUE,
    name             VARCHAR(80) NOT NULL,
    duration_minutes SMALLINT NOT NULL,
    price            DECIMAL(10, 2) NOT NULL COMMENT 'List price in US dollars, before tax',
    is_active        BOOLEAN NOT NULL DEFAULT TRUE,
    CONSTRAINT services_duration_minutes_check CHECK (duration_minutes > 0)
) COMMENT 'What can be booked and billed';

CREATE TABLE patients (
    id                      BIGINT PRIMARY KEY AUTO_INCREMENT,
    public_id               CHAR(36) NOT NULL DEFAULT (UUID()) UNIQUE COMMENT 'Number shown in the patient portal',
    first_name              VARCHAR(60) NOT NULL,
    last_name               VARCHAR(60) NOT NULL,
    full_name               VARCHAR(121) AS (CONCAT(first_name, ' ', last_name)) STORED,
    date_of_birth           DATE NOT NULL,
    phone                   VARCHAR(16) NOT NULL UNIQUE COMMENT 'Mobile number in E.164 form, for example +12025550143',
    email                   VARCHAR(120),
    ssn                     CHAR(11) UNIQUE COMMENT 'Social security number; for billing only, never read out',
    reminder_channels       SET('phone', 'sms', 'email') NOT NULL DEFAULT 'sms'
                            COMMENT 'How the patient wants to be reminded: phone, sms, email',
    preferences             JSON NOT NULL DEFAULT ('{}'),
    primary_practitioner_id INT,
    created_at              TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at              TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY patients_last_name (last_name, first_name),
    KEY patients_email (email),
    KEY patients_primary_practitioner (primary_practitioner_id),
    CONSTRAINT patients_primary_practitioner_id_fkey FOREIGN KEY (primary_practitioner_id) REFERENCES practitioners (id)
) COMMENT 'People registered with the clinic';

CREATE TABLE appointments (
    id              BIGINT PRIMARY KEY AUTO_INCREMENT,
    reference       VARCHAR(12) NOT NULL DEFAULT '' UNIQUE
                    COMMENT 'Code that the patient is given, for example APT-000123',
    patient_id      BIGINT NOT NULL,
    practitioner_id INT NOT NULL,
    location_id     INT NOT NULL,
    service_id      INT NOT NULL,
    starts_at       TIMESTAMP NOT NULL,
    ends_at         TIMESTAMP NOT NULL,
    status          ENUM('booked', 'confirmed', 'completed', 'cancelled', 'no_show') NOT NULL DEFAULT 'booked',
    reason          VARCHAR(200) COMMENT 'What the patient said when booking',
    created_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at      TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE KEY appointments_one_per_slot (practitioner_id, starts_at),
    KEY appointments_patient (patient_id, starts_at),
    KEY appointments_location (location_id, starts_at),
    KEY appointments_service (service_id),
    KEY appointments_starts_at (starts_at),
    CONSTRAINT appointments_end_after_start CHECK (ends_at > starts_at),
    CONSTRAINT appointments_patient_id_fkey FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT appointments_practitioner_id_fkey FOREIGN KEY (practitioner_id) REFERENCES practitioners (id),
    CONSTRAINT appointments_location_id_fkey FOREIGN KEY (location_id) REFERENCES locations (id),
    CONSTRAINT appointments_service_id_fkey FOREIGN KEY (service_id) REFERENCES services (id)
) COMMENT 'Visits, past and planned';

CREATE TABLE invoices (
    id             BIGINT PRIMARY KEY AUTO_INCREMENT,
    number         VARCHAR(16) NOT NULL UNIQUE COMMENT 'Printed on the bill, for example INV-2026-000123',
    patient_id     BIGINT NOT NULL,
    appointment_id BIGINT UNIQUE,
    issued_on      DATE NOT NULL,
    due_on         DATE NOT NULL,
    status         ENUM('open', 'paid', 'overdue', 'void') NOT NULL DEFAULT 'open',
    currency       CHAR(3) NOT NULL DEFAULT 'USD',
    subtotal       DECIMAL(12, 2) NOT NULL DEFAULT 0,
    tax            DECIMAL(12, 2) NOT NULL DEFAULT 0,
    total          DECIMAL(12, 2) AS (subtotal + tax) STORED COMMENT 'What the patient owes, tax included',
    paid_at        TIMESTAMP NULL,
    updated_at     TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY invoices_patient (patient_id, issued_on),
    KEY invoices_status (status, due_on),
    CONSTRAINT invoices_patient_id_fkey FOREIGN KEY (patient_id) REFERENCES patients (id),
    CONSTRAINT invoices_appointment_id_fkey FOREIGN KEY (appointment_id) REFERENCES appointments (id)
) COMMENT 'Bills sent to patients, one for each completed visit';

CREATE TABLE invoice_lines (
    invoice_id  BIGINT NOT NULL,
    line_number SMALLINT NOT NULL,
    service_id  INT NOT NULL,
    quantity    SMALLINT NOT NULL DEFAULT 1,
    unit_price  DECIMAL(10, 2) NOT NULL,
    amount      DECIMAL(12, 2) AS (quantity * unit_price) STORED,
    PRIMARY KEY (invoice_id, line_number),
    KEY invoice_lines_service (service_id),
    CONSTRAINT invoice_lines_quantity_check CHECK (quantity > 0),
    CONSTRAINT invoice_lines_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES invoices (id) ON DELETE CASCADE,
    CONSTRAINT invoice_lines_service_id_fkey FOREIGN KEY (service_id) REFERENCES services (id)
) COMMENT 'What an invoice charges for';

CREATE TABLE insurance_claims (
    id             BIGINT PRIMARY KEY AUTO_INCREMENT,
    claim_number   VARCHAR(16) NOT NULL UNIQUE,
    invoice_id     BIGINT NOT NULL,
    line_number    SMALLINT NOT NULL,
    insurer        VARCHAR(80) NOT NULL,
    status         ENUM('submitted', 'approved', 'declined') NOT NULL DEFAULT 'submitted',
    claimed_amount DECIMAL(12, 2) NOT NULL,
    decided_on     DATE,
    UNIQUE KEY insurance_claims_line (invoice_id, line_number),
    CONSTRAINT insurance_claims_invoice_line FOREIGN KEY (invoice_id, line_number)
        REFERENCES invoice_lines (invoice_id, line_number)
) COMMENT 'Invoice lines handed to the patient''s insurer';

CREATE TABLE reference_numbers (
    name       VARCHAR(20) PRIMARY KEY,
    latest INT NOT NULL
) COMMENT 'The last number given out of each kind; PostgreSQL has a sequence for it';

CREATE VIEW appointment_details AS
SELECT a.reference, a.starts_at, a.ends_at, a.status, p.full_name AS patient_name, p.phone AS patient_phone,
       CONCAT(d.first_name, ' ', d.last_name) AS practitioner_name, d.specialty, s.name AS service_name,
       l.name AS location_name, l.address AS location_address
  FROM appointments a
  JOIN patients p ON p.id = a.patient_id
  JOIN practitioners d ON d.id = a.practitioner_id
  JOIN services s ON s.id = a.service_id
  JOIN locations l ON l.id = a.location_id;

-- Rows ---------------------------------------------------------------------------------------------------------------

START TRANSACTION;

INSERT INTO locations (id, code, name, address, phone, time_zone, opening_hours) VALUES
    (1, 'HARBOR', 'Harbor Street Clinic', '12 Harbor Street, Washington', '+12025550190', 'America/New_York',
     '{"mon": ["08:00", "18:00"], "tue": ["08:00", "18:00"], "wed": ["08:00", "18:00"], "thu": ["08:00", "20:00"], "fri": ["08:00", "16:00"]}'),
    (2, 'ORCHARD', 'Orchard Park Clinic', '480 Orchard Park Avenue, Washington', '+12025550191', 'America/New_York',
     '{"mon": ["07:30", "17:00"], "tue": ["07:30", "17:00"], "wed": ["07:30", "12:00"], "thu": ["07:30", "17:00"], "fri": ["07:30", "17:00"]}'),
    (3, 'MILL', 'Old Mill Family Practice', '3 Mill Lane, Alexandria', '+17035550192', 'America/New_York',
     '{"mon": ["09:00", "18:00"], "wed": ["09:00", "18:00"], "fri": ["09:00", "18:00"]}'),
    (4, 'SUMMIT', 'Summit Rehabilitation Center', '77 Summit Road, Bethesda', '+13015550193', 'America/New_York',
     '{"mon": ["08:00", "19:00"], "tue": ["08:00", "19:00"], "thu": ["08:00", "19:00"], "sat": ["09:00", "13:00"]}');

INSERT INTO services (id, code, name, duration_minutes, price, is_active) VALUES
    (1, 'GP-15', 'Short consultation', 15, 68.00, TRUE),
    (2, 'GP-30', 'Long consultation', 30, 118.00, TRUE),
    (3, 'CHECKUP', 'Annual check-up', 30, 165.00, TRUE),
    (4, 'VACC-FLU', 'Flu vaccination', 15, 42.50, TRUE),
    (5, 'VACC-TRV', 'Travel vaccination', 15, 95.00, TRUE),
    (6, 'CHILD', 'Child development check', 30, 110.00, TRUE),
    (7, 'DERM', 'Skin check', 30, 149.90, TRUE),
    (8, 'PHYSIO', 'Physiotherapy session', 30, 89.00, TRUE),
    (9, 'CARDIO', 'Heart consultation with ECG', 30, 240.00, TRUE),
    (10, 'HOUSECALL', 'House call', 30, 190.00, FALSE),
    (11, 'LAB', 'Laboratory panel', 15, 57.35, TRUE),
    (12, 'SUPPLIES', 'Dressing and supplies', 15, 13.20, TRUE);

-- 1 to 4,000 without recursion, whose default depth is 1,000 on both engines.
CREATE TEMPORARY TABLE numbers (i INT PRIMARY KEY);
INSERT INTO numbers (i)
WITH digits AS (SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
                UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)
SELECT 1 + ones.d + 10 * tens.d + 100 * hundreds.d + 1000 * thousands.d
  FROM digits AS ones, digits AS tens, digits AS hundreds, digits AS thousands
 WHERE thousands.d < 4;

INSERT INTO practitioners (id, registration_number, first_name, last_name, specialty, location_id, email, languages,
                           accepts_new_patients, rating)
SELECT i,
       CONCAT('MD-', LPAD(40000 + i * 137, 6, '0')),
       ELT(1 + i % 6, 'Ines', 'Tomas', 'Farah', 'Oskar', 'Leila', 'Henrik'),
       ELT(1 + i % 12, 'Abernathy', 'Bjorklund', 'Castellan', 'Dunmore', 'Eskander', 'Fairweather', 'Galbraith',
           'Holloway', 'Iversen', 'Jankowiak', 'Kettering', 'Lindqvist'),
       ELT(1 + i % 5, 'General practice', 'Pediatrics', 'Dermatology', 'Physiotherapy', 'Cardiology'),
       1 + i % 4,
       CONCAT('practitioner', i, '@clinic.example'),
       ELT(1 + i % 3, 'en', 'en,es', 'en,fr,vi'),
       i % 4 <> 3,
       3.5 + (i % 6) * 0.25
  FROM numbers WHERE i <= 24;

INSERT INTO patients (id, public_id, first_name, last_name, date_of_birth, phone, email, ssn, reminder_channels,
                      preferences, primary_practitioner_id, created_at, updated_at)
SELECT i,
       CONCAT_WS('-', SUBSTR(digest, 1, 8), SUBSTR(digest, 9, 4), SUBSTR(digest, 13, 4), SUBSTR(digest, 17, 4),
                 SUBSTR(digest, 21)),
       ELT(1 + i % 40,
           'Ada', 'Bruno', 'Carla', 'Dmitri', 'Elena', 'Felix', 'Greta', 'Hugo', 'Imani', 'Jonas', 'Kavya', 'Liam',
           'Mina', 'Noor', 'Olive', 'Pablo', 'Quinn', 'Rosa', 'Stefan', 'Tara', 'Umar', 'Vera', 'Walter', 'Ximena',
           'Yusuf', 'Zoe', 'Anton', 'Beatriz', 'Cedric', 'Daphne', 'Emil', 'Fiona', 'Gideon', 'Hana', 'Isaac',
           'June', 'Kofi', 'Lucia', 'Marek', 'Nadia'),
       ELT(1 + (i * 3 + i DIV 40) % 50,
           'Adler', 'Brandt', 'Castillo', 'Dubois', 'Ekström', 'Ferrara', 'Grant', 'Haddad', 'Ito', 'Jensen',
           'Kowalski', 'Larsen', 'Moreau', 'Novak', 'O''Brien', 'Petrov', 'Quist', 'Romano', 'Santos', 'Tanaka',
           'Ueda', 'Vargas', 'Winters', 'Xu', 'Yilmaz', 'Zeller', 'Almeida', 'Bishop', 'Cohen', 'Doyle', 'Egan',
           'Fischer', 'Gallo', 'Hughes', 'Ivanova', 'Joshi', 'Keller', 'Lopez', 'Mbeki', 'Nguyen', 'Okafor', 'Park',
           'Rahman', 'Schmidt', 'Thorne', 'Usman', 'Visser', 'Walsh', 'Yamada', 'Zhang'),
       DATE '1938-01-01' + INTERVAL (i * 7919) % 30000 DAY,
       CONCAT('+1', ELT(1 + (i - 1) DIV 100, '202', '206', '212', '213', '305', '312', '404', '415', '503', '512',
                        '602', '615', '617', '702', '713', '720', '801', '816', '901', '917'),
              '55501', LPAD((i - 1) % 100, 2, '0')),
       CASE WHEN i % 11 = 0 THEN NULL ELSE CONCAT('patient', i, '@example.com') END,
       CONCAT('900-', LPAD(1 + i % 49, 2, '0'), '-', LPAD(i, 4, '0')),
       ELT(1 + i % 4, 'phone', 'sms', 'sms,email', 'phone,sms,email'),
       CONCAT('{"language": "', ELT(1 + i % 3, 'en', 'es', 'fr'), '", "largePrint": ', IF(i % 17 = 0, 'true', 'false'), '}'),
       1 + i % 24,
       TIMESTAMP '2024-01-08 09:00:00' + INTERVAL i % 1000 DAY,
       TIMESTAMP '2024-01-08 09:00:00' + INTERVAL i % 1000 DAY
  FROM (SELECT i, INSERT(INSERT(MD5(CONCAT('patient-', i)), 13, 1, '8'), 17, 1, 'a') AS digest
          FROM numbers WHERE i <= 2000) AS numbered;

-- Eighteen weeks of workdays from Monday, 7 December 2026. Those before Monday, 1 March 2027 are past.
INSERT INTO appointments (id, reference, patient_id, practitioner_id, location_id, service_id, starts_at, ends_at,
                          status, reason, created_at, updated_at)
SELECT i, CONCAT('APT-', LPAD(i, 6, '0')), 1 + (i * 37) % 2000, practitioner, 1 + practitioner % 4, service, starts_at,
       starts_at + INTERVAL (SELECT duration_minutes FROM services WHERE services.id = service) MINUTE,
       CASE WHEN starts_at < TIMESTAMP '2027-03-01 00:00:00'
            THEN CASE i % 12 WHEN 5 THEN 'cancelled' WHEN 9 THEN 'no_show' ELSE 'completed' END
            ELSE CASE i % 6 WHEN 1 THEN 'confirmed' WHEN 4 THEN 'cancelled' ELSE 'booked' END END,
       ELT(1 + i % 7, 'Follow-up', 'Back pain', 'Routine visit', 'Persistent cough', 'Test results', 'Rash on the arm',
           'Referral'),
       starts_at - INTERVAL 21 DAY, starts_at - INTERVAL 21 DAY
  FROM (SELECT i, 1 + i % 24 AS practitioner, 1 + (i * 5) % 9 AS service,
               TIMESTAMP '2026-12-07 13:00:00' + INTERVAL (slot % 90) DIV 5 * 7 + slot % 5 DAY
                   + INTERVAL ((i % 24) * 3 + slot DIV 90 * 5) % 18 * 30 MINUTE AS starts_at
          FROM (SELECT i, i DIV 24 AS slot FROM numbers WHERE i <= 3000) AS numbered) AS planned;

INSERT INTO invoices (id, number, patient_id, appointment_id, issued_on, due_on, status, paid_at, updated_at)
SELECT n, CONCAT('INV-', YEAR(starts_at), '-', LPAD(n, 6, '0')), patient_id, id,
       DATE(starts_at), DATE(starts_at) + INTERVAL 30 DAY,
       CASE WHEN n % 5 > 1 THEN 'paid' WHEN n % 50 = 0 THEN 'void'
            WHEN DATE(starts_at) + INTERVAL 30 DAY < DATE '2027-03-01' THEN 'overdue' ELSE 'open' END,
       CASE WHEN n % 5 > 1 THEN starts_at + INTERVAL n % 20 DAY END,
       starts_at
  FROM (SELECT ROW_NUMBER() OVER (ORDER BY id) AS n, id, patient_id, starts_at
          FROM appointments WHERE status = 'completed') AS billed;

INSERT INTO invoice_lines (invoice_id, line_number, service_id, quantity, unit_price)
SELECT i.id, 1, s.id, 1, s.price
  FROM invoices i JOIN appointments a ON a.id = i.appointment_id JOIN services s ON s.id = a.service_id
UNION ALL SELECT i.id, 2, s.id, 1, s.price FROM invoices i JOIN services s ON s.code = 'LAB' WHERE i.id % 3 = 0
UNION ALL SELECT i.id, 3, s.id, 2, s.price FROM invoices i JOIN services s ON s.code = 'SUPPLIES' WHERE i.id % 6 = 0;

UPDATE invoices JOIN (SELECT invoice_id, SUM(amount) AS amount FROM invoice_lines GROUP BY invoice_id) AS billed
    ON billed.invoice_id = invoices.id
   SET invoices.subtotal = billed.amount, invoices.tax = ROUND(billed.amount * 0.05, 2);

INSERT INTO insurance_claims (id, claim_number, invoice_id, line_number, insurer, status, claimed_amount, decided_on)
SELECT ROW_NUMBER() OVER (ORDER BY l.invoice_id), CONCAT('CLM-', LPAD(l.invoice_id, 6, '0')), l.invoice_id, 1,
       ELT(1 + l.invoice_id % 3, 'Bluewater Mutual', 'Cedar Health', 'Northgate Insurance'),
       IF(l.invoice_id % 8 = 0, 'submitted', 'approved'),
       l.amount,
       CASE WHEN l.invoice_id % 8 <> 0 THEN i.issued_on + INTERVAL 14 DAY END
  FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
 WHERE l.line_number = 1 AND l.invoice_id % 4 = 0;

INSERT INTO reference_numbers (name, latest) VALUES ('appointment', 3000);

COMMIT;

-- After the rows, so that loading does not change their times.
CREATE TRIGGER patients_touch BEFORE UPDATE ON patients FOR EACH ROW SET NEW.updated_at = CURRENT_TIMESTAMP;
CREATE TRIGGER appointments_touch BEFORE UPDATE ON appointments FOR EACH ROW SET NEW.updated_at = CURRENT_TIMESTAMP;
CREATE TRIGGER invoices_touch BEFORE UPDATE ON invoices FOR EACH ROW SET NEW.updated_at = CURRENT_TIMESTAMP;

DELIMITER //
CREATE TRIGGER appointments_reference BEFORE INSERT ON appointments FOR EACH ROW
BEGIN
    IF NEW.reference = '' THEN
        UPDATE reference_numbers SET latest = latest + 1 WHERE name = 'appointment';
        SET NEW.reference = (SELECT CONCAT('APT-', LPAD(latest, 6, '0')) FROM reference_numbers
                              WHERE name = 'appointment');
    END IF;
END//
DELIMITER ;
